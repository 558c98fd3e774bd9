# ping and traceroute
ping -q -c 5 -i 0.5 127.0.0.1; traceroute -n 127.0.0.1; ping -c 1 -W 3 192.0.2.1; echo $?
