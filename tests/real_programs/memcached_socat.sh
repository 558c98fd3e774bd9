# memcached and socat
memcached -u nobody -l 127.0.0.1 -p 11211 & sleep 0.5
printf 'set k 0 2 5\r\nhello\r\nget k\r\n' | socat -t 1 - TCP:127.0.0.1:11211; sleep 4
printf 'get k\r\n' | socat -t 1 - TCP:127.0.0.1:11211; kill %1; wait; echo ended
