# GCC compiles and links a real program, bzip2, which then passes its own tests. Every object file shows as its digest: the compiler's output
# depends on nothing but its input.
gcc --version | sed 1q
cp /software/bzip2/* .
for source in blocksort huffman crctable randtable compress decompress bzlib bzip2; do
  gcc -O2 -Wall -Winline -D_FILE_OFFSET_BITS=64 -c $source.c || exit
  sha256sum $source.o
done
gcc -o bzip2 ./*.o || exit
sha256sum bzip2

# As `make test` in its sources.
for level in 1 2 3; do
  ./bzip2 -$level <sample$level.ref | cmp sample$level.bz2 - && echo "compresses sample $level"
  ./bzip2 -d <sample$level.bz2 | cmp sample$level.ref - && echo "decompresses sample $level"
done
seq 1 20000 | ./bzip2 -9 | sha256sum
