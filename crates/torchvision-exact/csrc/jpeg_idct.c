// The inverse DCT of libjpeg's slow integer method, with the overflow of libjpeg-turbo's SSE2 and AVX2 code, which Pillow runs:
// that saturates where libjpeg's C code wraps, in files of very low quality and in damaged ones. Their code needs an assembler; this
// does not.
#include <stdint.h>

#include "jpeg_idct.h"

#include <jdct.h>

// Bits after the point: of the constants, and of what the first pass leaves.
enum { CONSTANT = 13, BETWEEN = 2 };

// The constants of Loeffler, Ligtenberg and Moschytz, times 2^13.
enum {
  F_0_298 = 2446, F_0_390 = 3196, F_0_541 = 4433, F_0_765 = 6270, F_0_899 = 7373, F_1_175 = 9633,
  F_1_501 = 12299, F_1_847 = 15137, F_1_961 = 16069, F_2_053 = 16819, F_2_562 = 20995, F_3_072 = 25172,
};

static uint32_t products(int16_t a, int fa, int16_t b, int fb) { return (uint32_t)(a * fa) + (uint32_t)(b * fb); }

// Drops so many bits; saturates.
static int16_t rounded(uint32_t value, int bits) {
  int32_t shifted = (int32_t)(value + (1u << (bits - 1))) >> bits;
  return (int16_t)(shifted < INT16_MIN ? INT16_MIN : shifted > INT16_MAX ? INT16_MAX : shifted);
}

// One dimension: eight values, `stride` apart, in their places. Sums that are multiplied wrap in 16 bits, others in 32.
static void pass(int16_t *v, ptrdiff_t stride, int bits) {
  int16_t in[8];
  for (int i = 0; i < 8; i++) in[i] = v[i * stride];

  uint32_t sum04 = (uint32_t)((int16_t)(in[0] + in[4]) * (1 << CONSTANT));
  uint32_t difference04 = (uint32_t)((int16_t)(in[0] - in[4]) * (1 << CONSTANT));
  uint32_t outer26 = products(in[2], F_0_541 + F_0_765, in[6], F_0_541);
  uint32_t inner26 = products(in[2], F_0_541, in[6], F_0_541 - F_1_847);
  uint32_t even[4] = {sum04 + outer26, difference04 + inner26, difference04 - inner26, sum04 - outer26};

  int16_t sum37 = (int16_t)(in[3] + in[7]), sum15 = (int16_t)(in[1] + in[5]);
  uint32_t from37 = products(sum37, F_1_175 - F_1_961, sum15, F_1_175);
  uint32_t from15 = products(sum37, F_1_175, sum15, F_1_175 - F_0_390);
  uint32_t odd[4] = {
      from15 + products(in[7], -F_0_899, in[1], F_1_501 - F_0_899),
      from37 + products(in[5], -F_2_562, in[3], F_3_072 - F_2_562),
      from15 + products(in[5], F_2_053 - F_2_562, in[3], -F_2_562),
      from37 + products(in[7], F_0_298 - F_0_899, in[1], -F_0_899),
  };
  for (int i = 0; i < 4; i++) {
    v[i * stride] = rounded(even[i] + odd[i], bits);
    v[(7 - i) * stride] = rounded(even[i] - odd[i], bits);
  }
}

void torchvision_exact_idct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR coefficients, JSAMPARRAY rows,
                            JDIMENSION column) {
  (void)cinfo;
  const ISLOW_MULT_TYPE *quantization = component->dct_table;
  int16_t block[64], below = 0;
  for (int i = 0; i < 64; i++) block[i] = (int16_t)(coefficients[i] * quantization[i]);
  for (int i = 8; i < 64; i++) below |= coefficients[i];
  if (below) {
    for (int i = 0; i < 8; i++) pass(block + i, 8, CONSTANT - BETWEEN);
  } else {
    // The same, but what overflows here wraps.
    for (int i = 63; i >= 0; i--) block[i] = (int16_t)(block[i % 8] * (1 << BETWEEN));
  }
  for (int i = 0; i < 8; i++) {
    pass(block + 8 * i, 1, CONSTANT + BETWEEN + 3);
    for (int j = 0; j < 8; j++) {
      int value = block[8 * i + j] + 128;
      rows[i][column + j] = (JSAMPLE)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }
}
