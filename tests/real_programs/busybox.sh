# busybox
busybox sh -c 'busybox time busybox sleep 1; busybox timeout 1 sleep 9; echo $?; seq 3 | busybox xargs'
