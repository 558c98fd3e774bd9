# iperf3
iperf3 -s -1 > server & sleep 0.2; iperf3 -c 127.0.0.1 -u -b 10M -t 2 | grep receiver; wait; exit 0
