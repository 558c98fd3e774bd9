# mosquitto
        printf 'listener 1883 127.0.0.1
allow_anonymous true
user root
' > conf; mosquitto -c conf 2> log & sleep 0.5
        mosquitto_sub -t topic -C 2 > got & sleep 0.5; mosquitto_pub -t topic -m one; sleep 1
        mosquitto_pub -t topic -m two; wait %2; cat got; kill %1; wait; exit 0
