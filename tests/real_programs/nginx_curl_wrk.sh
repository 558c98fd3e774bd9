# nginx, curl and wrk
        mkdir -p www logs; echo hello > www/index.html
        printf '%s
' 'daemon off; error_log stderr; pid nginx.pid; worker_processes 2; events {}' 'http {
            access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u;
            scgi_temp_path s; server { listen 127.0.0.1:8080; root www; location /slow { limit_rate 1k; } } }' > conf
        chmod 777 .; nginx -p "$PWD" -c "$PWD/conf" & sleep 1
        curl -sS -w '%{http_code} %{time_total}
' http://127.0.0.1:8080/
        wrk -t 2 -c 10 -d 1s http://127.0.0.1:8080/ | grep requests
        kill %1; wait; echo "ended $?"
