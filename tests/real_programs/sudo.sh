# sudo
sudo -n -u nobody sh -c 'sleep 1; id -un'
