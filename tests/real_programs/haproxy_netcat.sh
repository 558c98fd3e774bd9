# haproxy and netcat
printf '%s\n' 'defaults' ' mode tcp' ' timeout connect 1s' ' timeout client 2s' ' timeout server 2s' \
    'listen l' ' bind 127.0.0.1:8000' ' server s 127.0.0.1:8001' > conf
haproxy -db -f conf 2> log & sleep 0.5
nc -l 127.0.0.1 8001 < /dev/null > got & sleep 0.5; echo through | nc -N 127.0.0.1 8000; wait %2; cat got
(sleep 9; echo late) | nc -l 127.0.0.1 8001 > /dev/null & sleep 0.5; nc -d 127.0.0.1 8000; echo cut; kill %1 %3; exit 0
