# dnsmasq and dig
dnsmasq -k -C /dev/null -u root -p 5353 --no-resolv --no-hosts -a 127.0.0.1 --address=/a.test/192.0.2.7 & sleep 0.5
dig +short -p 5353 @127.0.0.1 a.test; dig -p 5353 @127.0.0.1 b.test | grep -o 'status: [A-Z]*'
dig +tries=1 +timeout=3 -p 5354 @192.0.2.1 a.test > /dev/null; kill %1; wait; echo ended
