# cyclictest: one thread on each processor, once a millisecond, while nothing else and then while hackbench is running.
uname -v
nproc
cyclictest --mlockall --quiet --smp --priority=90 --interval=1000 --loops=2000
echo "== under load"
(while true; do hackbench --pipe --groups 1 --fds 5 --loops 100; done) >/dev/null &
cyclictest --mlockall --quiet --smp --priority=90 --interval=1000 --loops=2000
kill $!
