#!/bin/sh
# What init does, natively: native.sh BENCH BUSYBOX ROUNDS TEXT [BENCH_SSE2] [TESTS]
suite=$(cd "$(dirname "$0")" && pwd)
bench=$1 bb=$2 n=$3 text=$4 sse2=$5 tests=${6:-all}
echo "@BOOT native"
"$bench" -n "$n" $(echo "$tests" | tr , ' ')
if [ -n "$sse2" ]; then
    echo "@PREFIX sse2-"
    "$sse2" -n "$n" matmul mandel int64
    echo "@PREFIX"
fi
if [ "$tests" = all ]; then
    t=$(mktemp -d)
    cp "$text" "$t/text"
    head -c 1000000 "$t/text" > "$t/text1"
    "$bench" -n "$n" -x bb-gzip "$bb" gzip -c "$t/text"
    "$bench" -n "$n" -x bb-sha256 "$bb" sha256sum "$t/text"
    "$bench" -n "$n" -x bb-awk "$bb" awk -f "$suite/words.awk" "$t/text1"
    "$bench" -n "$n" -x bb-sh "$bb" sh "$suite/loop.sh"
    rm -rf "$t"
fi
echo "@DONE"
