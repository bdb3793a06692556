# Some of everything, again and again, until the clock since power-on shows the seconds in /software/seconds: processes, threads, signals,
# pipes, sockets, files, arithmetic, encryption, timers, sleep. Every round must compute what the first one did.
uname -srvm
last=$(cat /software/seconds)
seconds() { cut -d. -f1 /proc/uptime; }

round() {
  rm -rf files && mkdir files
  seq 1 3000 | tee files/numbers | sha256sum
  gzip -c files/numbers | gzip -dc | cmp - files/numbers && echo "gzip agrees"
  for i in 1 2 3 4 5; do cp files/numbers "files/copy$i" && ln "files/copy$i" "files/link$i" && mv "files/copy$i" "files/moved$i"; done
  find files -type f | wc -l
  cat files/link* | sort -n | uniq -c | tail -n 1
  openssl enc -aes-256-ctr -K 00 -iv 00 -in files/numbers 2>/dev/null | openssl dgst -sha512
  perl -e '$x = 1; for (1 .. 3000) { $x = sqrt($x / 3 + $_ * 0.7) } printf "%.15g\n", $x'
  perl -e '$SIG{USR1} = sub { $n++ }; kill "USR1", $$ for 1 .. 50; alarm 0; print "$n signals\n"'
  for i in 1 2 3 4 5 6 7 8 9 10; do (exit $i) || printf '%d ' $?; done
  echo
  hackbench --process --pipe --groups 1 --fds 4 --loops 20 >/dev/null && echo "processes agree"
  hackbench --threads --groups 1 --fds 4 --loops 20 >/dev/null && echo "threads agree"
  timeout 0.5 sleep 10
  echo "timeout: $?"
  cyclictest --mlockall --quiet --smp --priority=80 --interval=2000 --loops=100 | sed -n 's/^T: 0 .* C: *\([0-9]*\) .*/\1 wakeups/p'
}

rounds=0
while [ "$(seconds)" -lt "$last" ]; do
  round >current 2>&1
  [ -e first ] || cp current first
  cmp first current || { cat current; exit 1; }
  rounds=$((rounds + 1))
  echo "round $rounds at $(seconds) s"
  sleep 40
done
cat first
echo "$rounds rounds"
