# A little of what openssl.sh and perl.sh do, for a test that has less than a minute.
openssl version
seq 1 2000 >corpus
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
vector=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff

for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do
  openssl dgst "-$digest" corpus
done
for cipher in aes-128-cbc aes-256-ctr chacha20 camellia-256-cbc; do
  openssl enc "-$cipher" -K $key -iv $vector -in corpus -out encrypted 2>/dev/null
  openssl enc -d "-$cipher" -K $key -iv $vector -in encrypted 2>/dev/null | cmp - corpus && echo "$cipher $(sha256sum <encrypted)"
done
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:password -kdfopt salt:salt -kdfopt iter:1000 PBKDF2
for key in prime256v1 secp384r1; do
  openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$key" -out key.pem
  openssl pkey -in key.pem -pubout -out key.pub
  openssl dgst -sha256 -sign key.pem -out signature corpus
  openssl dgst -sha256 -verify key.pub -signature signature corpus
done

. /software/perl.sh
