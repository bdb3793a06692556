/**
 * Test data: one piece of sample code and what the reference tools make of it. The comment of each tells the command.
 * The tools are not needed to run the tests.
 */

/** Like i386 code: functions of a few common instructions that call each other, with some noise; the same on every run. */
export function sampleCode(): Uint8Array {
  const code = new Uint8Array(3000);
  const put = (at: number, ...bytes: number[]): number => {
    bytes.forEach((byte, i) => {
      code[at + i] = byte; // what does not fit is dropped
    });
    return at + bytes.length;
  };
  let seed = 12345;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 16) % limit;
  };
  for (let at = 0; at < code.length; ) {
    at = put(at, 0x55, 0x89, 0xe5, 0x83, 0xec, 4 * random(4));
    for (let calls = 1 + random(3); calls > 0; calls--) {
      const target = 256 * random(8);
      const displacement = target - (at + 5);
      // Now and then two opcodes in a row, which the branch filter has to tell apart.
      if (random(8) === 0) at = put(at, 0xe8);
      at = put(at, 0xe8 + random(2), displacement, displacement >> 8, displacement >> 16, displacement >> 24);
    }
    at = put(at, 0xc9, 0xc3, ...(random(4) === 0 ? [random(256), random(256)] : []));
  }
  return code;
}

/** In base64, in pieces. */
export const PACKED_SAMPLES = {
  // xz --check=crc32 --x86 --lzma2=preset=6
  xzX86Crc32: [
    '/Td6WFoAAAFpIt42AgEEACEBFgANhjUf4Au3A2NdACqiWKg3j5pIj5u1fwSuczmR6OwU5sg2eAzOLqaUzjBvy0CLUncRD83YRZEyIoAoBA6QRnZHw6Tk775z09Wu6u2cyc',
    'Y6AOK5OBEcipEMkeC7XHNodMvVLvdZlpzTFHT9Drj813lGjHD9SycNVCK73XBYqFkqlzBEZarBy0+85nx4hl7a8Apw9zcGv5C4Ipm6A/vR3KP9EChyTCXjTAI/vvOonyc6',
    '3vXT3Cw5J8vvsLebCsQjpsZW6p5iOR/ig9UdnfYalZjEWzFoNGHQBzyhqbpNfUa9xx95ymrnDR6JMcQQaOEnMFVu8m0KKhf5hZqWrGv9jowyQtB4id8Fl22z+bL3VTP/cn',
    'XXRw7dvgqXBG6kgmUB9lY/0GSQcfNy3/Co/YkAU4QZJAY+cvFAfKwSjMxYJ5fsP4++On5J68JxEHbaaUxwmLIBT0RGANTXdP4Yw0bfFqcipU7wTf7e5yE7l5k8T8DRpNeV',
    'oG7IVCcGZfIOvXUAl432Gmc7aAksKUkvjrEY7OebNA+M/0EH3SkJxmGmWqWAFYgG1cd+OdF3ArOVdr/Ky/D+bzVgwJr7ly7Y73Pd4b50BePjy1mcPfVGrizR0TrsiOezhD',
    '6wfULh4Zl/gJ+2F5OFmCjQZGZZT8zIlzfE42VxkDTVnw6w589ZNMviAsxk8PjjBjn7rGO6qtyH2Rl8OxNOLbLW+/B3xBF5WrynX41ccQigVPfTy4jmbanijUHW4bT4wE/y',
    'Sqzp2mqMuPDo43bsN9FwO+JGQBMkOj/XJsbMC3tdUvpKKdmJtmrZBtbjTrLyQPtsHoGPTO7kPSndLKOU42yE8gC38YzRoOI2h95dwilBAdYMyhXc+VX5RSloVqqxPeElxe',
    'xmODumD3FXAxqDpYYdRtM16FXIiHdMqSrXj8vqzCS1hvPUnRki4bnCkSbZGj8dgN4eDcyt2lNtq29neEplfDSPcR+PDdeo+79jTDZf9oe2BFEcGRHBdRt4oVdo/NHYgHqk',
    'A/Mqi2B8OfJbASkGdl11JO4fFtyV12e/sbHy+fZd2xA2G+xCWIt5mXzx3B9XYzAY4WEukK9LsvxwDo7lQFcZXYf/icvF7sJi0IrFIxMdluU07lUB298AuNou2oIAcz5nbI',
    'uyZdL4AaEEhqWG0UBDoo9BU/VMpQAAen4s5wAB+wa4FwAAJxvv8j4wDYsCAAAAAAFZWg==',
  ],
  // xz --check=crc64 --block-size=1024 --lzma2=preset=6,lc=1,lp=2,pb=1
  xzBlocksCrc64: [
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AP/AexAACqiWY29X15icxwCqou9850RtR/F4ExGcTufpVEeNey1VXhY1FO3LmDXhRQrT9TvOwNwOwUqx7LGBfuuxsUauULKv6',
    '5eMSy8HcBxT42bG9dZj+cHZm42OT3jFXtcaWSIAyv5IHgEt/gf0B0gi1ul/HeadLzVHQQRGxvZVQWx736TqFtDv3jzcNo5vbQze+VwnhZmnk0RlgAemhvpJfUJ0ZAl17ZK',
    'DGdmht96OOTBYzbJ0c9BLDuWx2nz/S933rMs3qM2pey3xJkZzWAG3xOS7J4+82Ii/o9Gli0zLmk43BARvGa5vLN3IfRCWbnTa0iGvvIYKE6VW8txNK32rVgIVMNi9mRhQj',
    'NZKUVa9CzounazY6FEVkzbutCsmg3yzUVRfUBMBcGDLwL36ky1LnwBxrfhwogNn71JePU+YoE7pBT3ltMCSBgBUnYuBkK4pXift5w3PglImKJXqDD+0rytRehx8hFSzeTv',
    'B+ifgtj1eyqzTLSmkFAvknwIXnPO6FqtcdTSo2lI0fhWFIh7HnqZF0KQVwHNLkoKycvaZvSLV41hW9XOmUDCb5YJDInJyC31F7fc6hrYnPX1JlbFsTOhluIv07Fyv0sBOg',
    'lmoa7AtkDaOozyg+p6Qc6d3xEbbZcGysT9LI0oHZjBjT/BAAAmMydRK139BAIAIQEWAAAAdC/lo+AD/wHQQAAqolmNvV9xi9aSEXeIWBep2RVG4TH6d7ippauPcn2HEajc',
    'Ah82MbHg+Tv/TbuOXulvK6sZGGJP8OJOHiNAR6zPnZanrjAjB9lpBdciFxvl+GUGNwukpFnswxPTqU5QiP4JYeOi3wzoSvCFtyoXHpo8TdnlFiXxclY9eTLLopAXN2oiqD',
    'WlCCzN1A6NH64g0yZd130TShtnW9kyA4EWz1LRlXpi2pKftGUaIOE2sa58YPDhb7AdY7S++dZuqLSlLVooPAy6hdjWZKaDBQ3IUfRHaMosAa48W47Q/k+LQiJzQ0YyXl0h',
    'A8zqyg8xWU6swh/Fc002+ms+dUKd2uEWIJctI4uR9eNiEWXyaTqpVuIjhupRJ9oT1utTYmne1MuI7ghSLBijCzHU8/wfXt8ngGfhGsNdULFZefDcJ0NAG8iAtsXhwCSwuH',
    'Ptg2fyA/f2P30oumvevycjbJPutgDYVRjkpNiIA84Gn6QRms+kQ2WjKNumHSBNwQDI4DoVu2325A/yEO8vRpP2jeFyMZvJY8q1F34HVBoNUSldIOwU4FRXsNfhwb+RsvN9',
    'AfD0ZB3FclmccA6DoHDyJr1GyzTDDdJLStKywUk28csTED0FP8gIAADERh4+qGw/BAIAIQEWAAAAdC/lo+ADtwG6QAB2AhoZlbqYfUUtRSl3Ne4r01GYu6lGpjv6wjrZek',
    'WLnB2uFDMdhZUS+D1Aeuiu3rsgB75rag6jHqdCTwe0p96ZgYEtXn6V2OUNvY99+eczsUges7sLAJmiCd8O9ce/iuGA+98szst6i2yx2IGO01bbm5DcSKO/UuwY1FCzgK15',
    'JSmVeqgh20dbFIaGb7TOCWSmkjmJdZDixp8LElDOxyRs+kRNHIZ3ToguDLaLvfcYmPzNIGydkNseBjtgnlP1wLN4kKke17hvdfwxK9C1JLhhIjeQ5uvBGraY20RkGI1UVr',
    'oHcHUOqnH5eub84Aw46i3w98ZySKAr5UAayVC6taopXc3vWYE8RcXm23MA1hZxjOUrXzEut/8bSTJKbsmDsM3nmDRB4vupuOv9Pri4eHww6e2P9MvwvUw51GwHXWVpxymu',
    'huE3Eu9ZbzLGnq6Pa7AOUpjfbsM5Df9bUnG6wxOijOrlTNjyQDSzMHXDri9U2MssLtH3KAOkZKZBkQVdNoqf8HHRlqqJ8f+lstRSgoKSquCkZhB8mFZepNSjzNIn/MAUHi',
    'COnj8I/F50Ikx9kpaLJO7Mz17k/tNgAAAAt0n+1D5xxC4AA4gEgAjsA4AI1gO4BwAAXtuYfawnPi0EAAAAAARZWg==',
  ],
  // xz --check=none of the first 1024 bytes, then xz --check=sha256 of the rest
  xzTwoStreams: [
    '/Td6WFoAAAD/EtlBAgAhARYAAAB0L+Wj4AP/AetdACqiWKg3j5pJrOrOpCX0wnwz9NkI5dnUXiHGbEOGTrwdvOJT5e48ewUxK9TIQI3CKQ63892OY4ex2BYD9W+YVcclxX',
    '6EMi74GTQhyGIA4lEHc3uSWuyh1unoiqUuB7473xq6U5dhC54dGj9DCB0K9wD9Qwyz7HK6TZkilrf2oh0vuOCW1u6iCL2zjJV9DuCsdUsXLPfFf6aBIgULhK8xaXabVlzd',
    '7FSN0SjQpcEuWeLDwJGRbx2tUyCliy/fRO6w/6mAuqFsERZHZZvcuhXgCgwPggOvfh+PuIDunw6Dduu3tZQysK/lCgX9UyzPbub3A4VicHxGcCVFBAZk98IV+RMHTlvg5h',
    '2Q1mH3FLCr/scEBIzSIjWWL4Sz+WcsU6FEsr9XqKsCV1LwLaiqfcqwMemxlV2OklpNT6Jz1tAt+S3u7IX2ge8r5nG02n6f9xLHL6sNO4SfRnAtV7/FYilUypMUcS6335Zv',
    '6P2dwvZUum0s2Ebva/JOmzLTbETuK7B4lbTwVEMrRfGXqSDY55gtoi71GWQHABY4/FTXLJ12TGh9SxM6Svsmeoy8H75+GatThlme3ftS+WsDstWMebtZvySBqOe36K4F27',
    'Xi3Skp7N/ek9KLiWsCeTu8qHO6N/2Nx+UDUo6lOvxzaFrgAAAAAf8DgAgAAELie4OoAAr8AgAAAAAAWVr9N3pYWgAACuH7DKECACEBFgAAAHQv5aPgB7cDT10AKqJYqDeP',
    'rFZsIs+hMdjV3ARen+3YdzYoZO4CjbwGGEFe5B2vWlRef7zs7KSVadzbzh/YVXnelKwWZc4TAATV7H2c7ls0R+eu6ubv4+IXzY+jJbi/1pKGS88zeyd7hrneq9SdLxGjRo',
    'sNL2zK5wiFmLFILPZkC6O9RgGl1Oz8CDUgSMJSG8tkxC/xI2Yd1x0rdw0KRZDQdT5ceb3TNotc4tPJvXojrHyG2i+0aFAvlSQl5iO4eauG32ns9IcRdwtnHUv7vo7hokm/',
    'ZpP2Sp6SnLSZ9OQsZl0I8VSsHiU9lV3bvDth66cnCIDM4Hvw4IObR+dKHgxBskJEjTXa2Te50bCHbYndkwOkiEEjGhe5Hr9QVlXXKC9NokY1Sr6HYRZBNPBu8Q/jVSfxxP',
    'FcePwWFFwX6zV1gpwKd/ztx40YL/lU5mbPit6J2sJC9FOwvzig289r3F8UfVcwfbwtCaNS3MCGF5TcMzKTFzZKSfJcqN3MK9EGu6SP+GX887oQmZAZA8FPmWG4jpB6vrZB',
    'giJwxbXh/1A3rvFUciEaiqkcMmYTYHKEUtwtsJmq4hSW6YqOqiAybXmelj3483RSDHY2gXDFlQJ941w7j+uNbZWjPV28ifHY3gR0gdL90LJMpmIzREMr0Spvut/sALFqCH',
    'CiF+7m6vUMomTXh3hSi/l0Y8jmdu6YGGtu9DH3jgrAatHOTpIACEArhhuiciUfa0zNXWzS9yMD4sb7ziMX6Ll7vyBkEFYxW13UOxecY/4aRFL5ZF6uAgAa7trOVltDeijD',
    'rveY+roA9u6Z0J18I9Ye0Z7VrR33S31hyfpf+4nvunHhfUblldKWbe5/sfsFbzqdSYzV+V7kwE8zw3LT0QdgG8AooMsUxOc+dIs2wNPCg+YVEKkNmvcgbVrli0EJ60bjda',
    'vRtj9122pEXw9euS4JJIZB9qLihNridAD61uqhUUZkiXKBew5ANbnJF9/EwHRQfK3MqjU+DXkUoDHwlIlUcHhWI5SmzGzFjDUsJGQVzF5NL/t7pld+kPauIF7xnYY405Cg',
    'a2F1o9NwCYwSvPdDlYTdQqCR9bvN5e3h4QIo13geOFZaDA4zY1ekyjYssnALuAEti+ZF3cB7BqoJHEjtuAAA0aApzezJL2JbFVzSBMZluXghNh94LrFmgH0ofojvVZwAAY',
    'MHuA8AAPNPyzq26d8cAgAAAAAKWVo=',
  ],
  // xz --format=lzma, which ends in a marker
  lzma: [
    'XQAAgAD//////////wAqolioN4+aSazqzqQl9MJ8M/TZCOXZ1F4hxmxDhk68HbziU+XuPHsFMSvUyECNwikOt/PdjmOHsdgWA/VvmFXHJcV+hDIu+Bk0IchiAOJRB3N7kl',
    'rsodbp6IqlLge+O98aulOXYQueHRo/QwgdCvcA/UMMs+xyuk2ZIpa39qIdL7jgltbuogi9s4yVfQ7grHVLFyz3xX+mgSIFC4SvMWl2m1Zc3exUjdEo0KXBLlniw8CRkW8d',
    'rVMgpYsv30TusP+pgLqhbBEWR2Wb3LoV4AoMD4IDr34fj7iA7p8Og3brt7WUMrCv5QoF/VMsz27m9wOFYnB8RnAlRQQGZPfCFfkTB05b4OYdkNZh9xSwq/7HBASM0iI1li',
    '+Es/lnLFOhRLK/V6irAldS8C2oqn3KsDHpsZVdjpJaTU+ic9bQLfkt7uyF9oHvK+ZxtNp+n/cSxy+rDTuEn0ZwLVe/xWIpVMqTFHEut9+Wb+j9ncL2VLptLNhG72vyTpsy',
    '02xE7iuweJW08FRDK0Xxl6kg2OeYLaIu9RlkBwAWOPxU1yyddkxofUsTOkr7JnqMvB++fhmrU4ZZnt37UvlrA7LVjHm7Wb8kgajnt+iuBdu14t0pKezf3pPSi4lrAnk7vK',
    'hzujf9jcflA1KOpTrzzCak7BjSlBwEYV/J9zuPGswzIh7J8LhaklVlEPaXp/0sqaoJzSlfPfS0Ge+AJbLp2czuimc6GroYfF7SORDRA5VXX6wLOIR6q1b03SF8VTKoAArU',
    'jK4bSTszaanvI8UU/dDAiLT3L+cTbDUs3iFgCoxreUEeeEL0+p74BLZA5s9ieuMD9b1objrvyxGFmtZzvICPGyzaODcGFzoTV6iMC6ces+P0PU/oL5ImG16aqyIa6twOb+',
    'zUoeFmE1D26qY65wvoWOc4ZT8oVVeIvWUkj/c5HnIrk+xQmG09KXJkvh4D8u0374clKHRQaD+meualYqztqY3wZg5+pYhNIzadf4QQzxxZrlVcbLq8t706y0YiPfuDzk1Z',
    'rOlDwA3xollogU4DKb7n+AP3RKuxD+gtB0hgHMxffpkx2PbkuDsfKo3RMDhlrJQB23Ex3950ctlnVVcrgoNhvPNhkPrP56jUccz9Y4XrDJ7yb0cjn4qSNtOcE9sF4dReEG',
    'YgIRUsYoP5OpWc+RkCNSVEzrPFhkU1+DDUfpFoleYZQWUN/qlbSO0SOnphUdUNnsT1g+R+3hNidREuYK8teDDd/BKSHtfBhFjZLa56C1uBqTPOM2DVnxYpW4y0bw5XfsGl',
    'dkK5rjlL80GUH0WNtW2L24jd6jw9uYGmuPqw1k7+IjbKAqOr54JZRQwUxlBySfwxTuWlZ4UsWaAxMRuPvq5PT5ZXp5Be+dSysXgjt1un+wIzd5Y0/yM8iv3WMr3v4bkzW6',
    'DpF+n2oaEuMCZ5CGt+2TWelt9zm9wMhOdj7pqfdcAg9QV5hnslsTIXUQCdn8qH6RKDy4sY1ynMr7wSVZTBPidZHmi+IFOmWJ7oaMxy9iLUtfRlrMcWT6Ummzv2GQHUkVCt',
    'E4ltaOMvSMiiKpF6aVhrkJd7k2U5zQtjQ1ueUMsq7jvq0Rnix3P6w3TXDUrYASQXT8pWPhYHoTS8j8AARGxT2uSAq3MjLCDgxQCsEgdWEuukKn9qCbcDiMlJKSrurloe8G',
    'AB+eCijglArRgVb/utSTo=',
  ],
  // lz4 -l -9
  lz4Legacy: [
    'AiFMGHgGAADRVYnlg+wA6fUEAADJww0AlQTo6AEAAOnjAhIARwDo1gMfAMDJ////6cQDAADovwEXACFzOhkA5gjpsAYAAOmr////6KYFPQAo6ZlcAHeMBQAA6IcFEgBheg',
    'IAAOh1SgAiswJKADfoZgZ9ABZZQADRDOhMBQAA6UcDAADpQjMAI2DJMwCVMwAAAOku////eAAQIccAEBxeACcXBE8AEAqCABYFKQChCOjo+AAAAOjp8uUAI1/6KAAQ4hUA',
    'EN0tABHYrwAjMqWDACDoyfwAIOjDigARvRsAIhGRzAA26a4B2QAh6aF2ACIWGDcAyOmSAgAA6Y0EAADoiKYAEXtoASTEdV0AJ2wAHAERXh0AI+sVqQAgT/45ACO81nABEE',
    'DhABA7jQARNngAI6/fGQAnJwUyARAawwAn6RUTACDpB9sAFwLhASDp9VIBaPD9///p6/gBEN7NARDZtAAn1AEuAGHHAQAA6MKNAAOpACHptdQAI4pqqgAg6aWXABGfTAAj',
    'RG2KAIDpkP7//+joihsAIemE6AAj2S1BABB0agAQbxoAEWpKACOeIGwAEVtGASMM3dsAEEwoACVH/XsAMAzpOvkBEDU6ABgwWAEQI7YAEB4uABYZvQJACOjpDBgAFwaoAS',
    'bo+fIAMAjp7AQBFudgAJEA6Oja/v//6dQlACOiE9wBF8X9ACDpuD0BILP93AAnrvw6ABagDQA2COmTnQAxDOiG/QAj1ZBBACd3/E4AEGpJABBlYgERYIcAI7CETwAQUYgA',
    'EEwFABhHvgIXOg0BMOjoLdsBN+gnAQECdxn8///oFPwmABAHsQAnAv/AARD1JAAn8P6wALjj+///6N78///p2SkCEcwkACSJTDsDGL0vAiDor7cAN+ip/VoAEJulAheWsQ',
    'Ag6YlsABiEbAAnd/6dABBq4gAQZS0DGGCmASdTAtMAEUYNACOU2JUAaDf7///pMv4BECWkBBAgwwAXGzgAIekOJAAj+oAPABH/FQEj+Sy/ABDwSgIQ6zUAN+jm/sgBENix',
    'ACfT+nQCEMbVACfB+yQAELQqARGv+QAjeQazABigpwEQk1kCEI6eARGJ/QEjpGsZABB6qwAQdfUAGHDXAidj+j0AEFbhABdRXAIg6UQxABA/UAMo6TpLARAsrAAA/wEn6C',
    'KGASDpFdYAEBAFACjpCzACEP23ABj4eABg6/n//+jmFwAY4YoEINT5JAAkgtAAAxD6SwAQwCwAGLqpAHit+f//6aj8AAIIngAQjp4AEYkfACTQ7rMCEHrxAid0+q4AEWfY',
    'ABFilwAjhiHyABBSQQEXTUYDKOlAYAMnMwDGAxEmDQAjQkAPABAXrgAYErAEAAAGKOgAMwAQ81EBEO4FABfp6gEh6NzlASSZYMMEKM359gQQvygBEbmHACMpQUkAJ6r5Pw',
    'AQnRABEJjhABGTfwAk5LBJABeESQAg6XbxACdx/c8AEGQqARBfXwAYWikAYE34///pSAUAGEMOAhA2IAInMfgpABAkQAAn6B9ZAyHpEbQBEAySACcG+2sAd/n6///p9Pcq',
    'ABfnwwAo6dpXABjN4AQQwC4BGLvgARCuSwAQqRYCEaRQACO1XRgCEJUrABCQHgAYi88AGH6MAhBxswAQbCwBF2dUACDoWhcAIelVKgAUH2AGKOhFfQMnN/gMARAqTAERJU',
    'IAI7lILwAQFvsAEBEZABEMGQAjQk4tABD9SwEQ+AUAJ/P2dABo5vf//+jhxwQn1Pu3ABjHDAQYurcBJ633JwAQoMwALZv4AAMImQMQfJoAEHcZARFyOwAjK/4rAGhj9///',
    '6V5MAhFRdgAk5hU4AxBCpQAgPPYeASg3/c8IEClmABAjPAInHvkYABARmAERDCoAI4SMOgEg/fUPACMaY3UAJ+71SQEY4X0AENQkARHP/gEjgaVRACfA9V4AIOmzygAorf',
    'gfAxCgcgAQmnECEZVeASNrXi0AYIb4///ogbUCJ3z1SwEnb/YNAGBi9f//6F1CABhY6wIRSwYBIyy/SgAQPOcAGDeWAhEq5gQQJQYAER+OACOKHzsAAQAFIOgLMgEnBfcy',
    'ACD49QACAIQBGO6GBBDhoAAQ3IYAGNdtAhjKJAAQvR8AGLgCBRCrEgB3pvb//+mh9rcAEJQeAWGP9P//6YpNACPs6CUBEHvGARB2XgEncfdHABBkRwAQXycBGFqaA5BN+/',
    '//6Ej1//8=',
  ],
};
