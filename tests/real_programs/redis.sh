# redis
redis-server --port 6379 --save '' --daemonize yes --logfile log --pidfile "$PWD/pid" > /dev/null; sleep 1
redis-cli set key value px 1500; redis-cli get key; sleep 2; redis-cli exists key
redis-benchmark -q -n 1000 -t ping_mbulk,set | tr '\r' '\n' | grep -c 'requests per second'
redis-cli -r 3 -i 0.5 ping; redis-cli shutdown nosave; sleep 1; grep -c 'bye bye' log
