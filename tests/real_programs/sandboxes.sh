# sandboxes
bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all sh -c 'sleep 1; echo "pid $$"'
unshare --user --map-root-user --pid --fork --mount-proc sh -c 'sleep 1; id -u; ls -d /proc/[0-9]* | wc -l'
su nobody -s /bin/sh -c 'sleep 1; id -un'
