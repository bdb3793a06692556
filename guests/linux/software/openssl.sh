# OpenSSL against itself: every digest and cipher over a corpus, key derivation, signatures with fixed and with fresh keys, and TLS over
# the loopback interface. What it prints depends on nothing but OpenSSL.
openssl version

seq 1 20000 >corpus
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
vector=f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff

echo "== digests"
for digest in $(openssl list -1 -digest-commands); do
  openssl dgst "-$digest" corpus
done

echo "== ciphers"
head -c 4000 corpus >short
for cipher in $(openssl enc -list | sed 1d); do
  # Keys and vectors that are too long are cut, with a warning.
  openssl enc "$cipher" -K $key -iv $vector -in short -out encrypted 2>/dev/null || continue
  openssl enc -d "$cipher" -K $key -iv $vector -in encrypted -out decrypted 2>/dev/null
  case $cipher in
    # RFC 3217 §3.1: this wrap begins with random bytes.
    *des3-wrap | *3DESwrap) cmp short decrypted && echo "$cipher agrees" ;;
    *) cmp short decrypted && echo "$cipher $(sha256sum <encrypted)" ;;
  esac
done

echo "== authentication codes"
openssl mac -digest SHA256 -macopt hexkey:$key -in corpus HMAC
openssl mac -digest SHA512 -macopt hexkey:$key -in corpus HMAC
openssl mac -cipher AES-256-CBC -macopt hexkey:$key -in corpus CMAC
openssl mac -cipher AES-256-GCM -macopt hexkey:$key -macopt hexiv:00112233445566778899aabb -in corpus GMAC
openssl mac -macopt hexkey:$key -in corpus Poly1305
openssl mac -macopt hexkey:00112233445566778899aabbccddeeff -in corpus SipHash
openssl mac -macopt hexkey:$key -in corpus KMAC256
openssl mac -macopt hexkey:$key -in corpus BLAKE2BMAC

echo "== key derivation"
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:password -kdfopt salt:salt -kdfopt iter:1000 PBKDF2
openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt hexkey:$key -kdfopt salt:salt -kdfopt info:label HKDF
openssl kdf -keylen 32 -kdfopt pass:password -kdfopt salt:NaCl -kdfopt n:1024 -kdfopt r:8 -kdfopt p:4 SCRYPT

# RFC 8410 §7: a private key is a fixed prefix and the seed, so that these keys are the same everywhere, and so are their signatures.
seeded() {
  printf '%s%s' "$2" "$3" | sed 's/../\\x&/g' | xargs -0 /usr/bin/printf >"$1.der"
  openssl pkey -inform DER -in "$1.der" -out "$1.pem"
}

echo "== fixed keys"
seeded ed25519 302e020100300506032b657004220420 $key
seeded x25519 302e020100300506032b656e04220420 $key
openssl pkey -in ed25519.pem -pubout
openssl pkeyutl -sign -rawin -inkey ed25519.pem -in corpus | sha256sum
openssl pkey -in x25519.pem -pubout -out x25519.pub
openssl pkeyutl -derive -inkey x25519.pem -peerkey x25519.pub | sha256sum

echo "== fresh keys"
try() {
  name=$1
  shift
  openssl genpkey -quiet "$@" -out "$name.pem" || return
  openssl pkey -in "$name.pem" -check -noout
  openssl pkey -in "$name.pem" -pubout -out "$name.pub"
}
for curve in prime256v1 secp384r1 secp521r1 secp256k1 brainpoolP256r1 sect283r1; do
  try "$curve" -algorithm EC -pkeyopt "ec_paramgen_curve:$curve"
  openssl dgst -sha256 -sign "$curve.pem" -out signature corpus
  echo "$curve $(openssl dgst -sha256 -verify "$curve.pub" -signature signature corpus)"
done
try rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
openssl dgst -sha256 -sign rsa.pem -out signature corpus
echo "rsa $(openssl dgst -sha256 -verify rsa.pub -signature signature corpus)"
openssl dgst -sha512 -sigopt rsa_padding_mode:pss -sign rsa.pem -out signature corpus
echo "rsa-pss $(openssl dgst -sha512 -sigopt rsa_padding_mode:pss -verify rsa.pub -signature signature corpus)"
head -c 100 corpus >secret
openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in secret -pkeyopt rsa_padding_mode:oaep -out encrypted
openssl pkeyutl -decrypt -inkey rsa.pem -in encrypted -pkeyopt rsa_padding_mode:oaep | cmp - secret && echo "rsa-oaep agrees"
openssl prime -hex 7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF

echo "== TLS"
tls() {
  certificate=$1
  shift
  openssl s_server -quiet -WWW -accept 127.0.0.1:4433 -naccept 1 -key "$certificate.pem" -cert "$certificate.crt" "$@" >/dev/null 2>&1 &
  # 4433 is 0x1151; state 0A is LISTEN.
  until grep -q ':1151 .* 0A ' /proc/net/tcp; do sleep 0.1; done
  printf 'GET /corpus HTTP/1.0\r\n\r\n' |
    openssl s_client -quiet -verify_quiet -verify_return_error -CAfile "$certificate.crt" -connect 127.0.0.1:4433 "$@" 2>/dev/null |
    sed 1,3d >received
  wait
  cmp corpus received && echo "$certificate $* agrees"
}
for certificate in rsa prime256v1 ed25519; do
  openssl req -new -x509 -key "$certificate.pem" -subj /CN=127.0.0.1 -days 30 -out "$certificate.crt"
  tls "$certificate" -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384
  tls "$certificate" -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256
  tls "$certificate" -tls1_2
done
