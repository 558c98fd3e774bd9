# perl
exec perl -MTime::HiRes=time,usleep -e '$SIG{ALRM} = sub { print "alarm\n" }; alarm 1;
    $t = time; select undef, undef, undef, 2.5; printf "%.1f\n", time - $t;
    $t = time; usleep 250000; printf "%.2f\n", time - $t; print `echo child`'
