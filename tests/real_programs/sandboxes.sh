# sandboxes
bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all sh -c 'sleep 1; echo "pid $$"'
unshare --user --map-root-user --pid --fork --mount-proc sh -c 'sleep 1; id -u; set -- /proc/[0-9]*; echo $#'
su nobody -s /bin/sh -c 'sleep 1; id -un'
