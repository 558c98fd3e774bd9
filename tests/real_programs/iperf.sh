# iperf, version 2: UDP at a rate, then TCP, with reports of a server
iperf -s -u > udp & iperf -s > tcp & sleep 0.2
iperf -c 127.0.0.1 -u -b 10M -t 2 -i 1; iperf -c 127.0.0.1 -t 1 -P 2 | grep SUM; kill %1 %2; wait
grep -c sec udp
