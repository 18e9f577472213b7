// The loops of tchx_kernels.cpp, without a word of libtorch. On each element they do the operations of libtorch's kernels in the same
// order, several elements side by side: so each result has the same bits. SSE2 is in every x86-64 processor.
#pragma once
#if defined(__SSE2__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

// Compiles a function for several sets of instructions; the program takes the best that the processor has. They give the same bits: the
// build forbids to fuse a multiplication with an addition.
#if defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define TCHX_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#endif
#endif
#ifndef TCHX_CLONES
#define TCHX_CLONES
#endif

#define TCHX_INLINE inline __attribute__((always_inline))

namespace tchx {

// ---- Pooling

constexpr int64_t kLanes = 4;

// Calls group(first) for outputs in groups of four, of which there must be one at least. The last group ends with the row: it may
// repeat outputs of the one before, which gives them the same values again.
template <class Group>
void each_four(int64_t outputs, Group group) {
  for (int64_t first = 0; first < outputs; first += kLanes) group(std::min(first, outputs - kLanes));
}

// Four windows of 2 x 2 pixels beside each other. Lane i of pixels[k] is pixel k of window i, counted along the rows.
struct FourWindows {
  __m128 pixels[4];

  FourWindows(const float* upper, const float* lower) {
    split(_mm_loadu_ps(upper), _mm_loadu_ps(upper + kLanes), pixels[0], pixels[1]);
    split(_mm_loadu_ps(lower), _mm_loadu_ps(lower + kLanes), pixels[2], pixels[3]);
  }

 private:
  static void split(__m128 left, __m128 right, __m128& even, __m128& odd) {
    even = _mm_shuffle_ps(left, right, _MM_SHUFFLE(2, 0, 2, 0));
    odd = _mm_shuffle_ps(left, right, _MM_SHUFFLE(3, 1, 3, 1));
  }
};

// Each of two lanes twice: the lower two (half 0), or the upper two (half 1).
inline __m128 twice(__m128 x, int half) { return half == 0 ? _mm_unpacklo_ps(x, x) : _mm_unpackhi_ps(x, x); }
inline __m128i twice(__m128i x, int half) { return half == 0 ? _mm_unpacklo_epi32(x, x) : _mm_unpackhi_epi32(x, x); }

// Adding to 0 turns -0.0 into 0.0, as adding to a result that begins with 0 does. It comes last: a quarter of a small negative number
// may be -0.0 too.
inline __m128 zero_plus(__m128 x) { return _mm_add_ps(_mm_setzero_ps(), x); }

// Means of a pair of rows over windows of 2 x 2.
inline void avg_pool_2x2(const float* upper, const float* lower, float* means, int64_t outputs) {
  each_four(outputs, [=](int64_t first) {
    const FourWindows windows(upper + 2 * first, lower + 2 * first);
    const auto& [a, b, c, d] = windows.pixels;
    const __m128 sum = _mm_add_ps(_mm_add_ps(_mm_add_ps(a, b), c), d);
    _mm_storeu_ps(means + first, zero_plus(_mm_mul_ps(sum, _mm_set1_ps(0.25f))));
  });
}

inline void avg_pool_2x2_backward(const float* grads, float* upper, float* lower, int64_t outputs) {
  each_four(outputs, [=](int64_t first) {
    const __m128 grad = zero_plus(_mm_mul_ps(_mm_loadu_ps(grads + first), _mm_set1_ps(0.25f)));
    for (int half : {0, 1}) {
      const int64_t x = 2 * first + half * kLanes;
      _mm_storeu_ps(upper + x, twice(grad, half));
      _mm_storeu_ps(lower + x, twice(grad, half));
    }
  });
}

// The largest pixels so far, and where in their windows they are.
struct Largest {
  __m128 pixel;
  __m128i position = _mm_setzero_si128();

  // A later pixel wins if it is larger. NaN wins over everything, another NaN included.
  void compare(__m128 other, int its_position) {
    const __m128 wins = _mm_or_ps(_mm_cmpgt_ps(other, pixel), _mm_cmpunord_ps(other, other));
    pixel = _mm_or_ps(_mm_and_ps(wins, other), _mm_andnot_ps(wins, pixel));
    move(wins, its_position);
  }

  // Sets the positions of the lanes that `which` selects.
  void move(__m128 which, int to) {
    const __m128i lanes = _mm_castps_si128(which);
    position = _mm_or_si128(_mm_and_si128(lanes, _mm_set1_epi32(to)), _mm_andnot_si128(lanes, position));
  }
};

// Between four numbers below 256 and four bytes.
inline void store_bytes(uint8_t* bytes, __m128i numbers) {
  const __m128i words = _mm_packs_epi32(numbers, numbers);
  const int32_t packed = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(bytes, &packed, sizeof packed);
}
inline __m128i load_bytes(const uint8_t* bytes) {
  int32_t packed;
  std::memcpy(&packed, bytes, sizeof packed);
  const __m128i zero = _mm_setzero_si128();
  return _mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(packed), zero), zero);
}

// max(x, 0). The instruction gives its second operand where that is NaN, or where both are zeros: NaN and -0.0 stay.
inline __m128 relu(__m128 x) { return _mm_max_ps(_mm_setzero_ps(), x); }

// The position of a largest pixel that ReLU made or left 0: no pixel gets its gradient.
constexpr int kNowhere = 4;

// The largest pixels of a pair of rows over windows of 2 x 2, and their positions (0 to 3, along the rows); if kRelu, those of ReLU's
// results.
template <bool kRelu>
void max_pool_2x2(const float* upper, const float* lower, float* pixels, uint8_t* positions, int64_t outputs) {
  each_four(outputs, [=](int64_t first) {
    FourWindows windows(upper + 2 * first, lower + 2 * first);
    if (kRelu) {
      for (__m128& pixel : windows.pixels) pixel = relu(pixel);
    }
    Largest largest{windows.pixels[0]};
    for (int position : {1, 2, 3}) largest.compare(windows.pixels[position], position);
    if (kRelu) largest.move(_mm_cmple_ps(largest.pixel, _mm_setzero_ps()), kNowhere);
    _mm_storeu_ps(pixels + first, largest.pixel);
    store_bytes(positions + first, largest.position);
  });
}

inline void max_pool_2x2_backward(const float* grads, const uint8_t* positions, float* upper, float* lower, int64_t outputs) {
  const auto store = [](float* two_windows, __m128 grad, __m128i position, __m128i places) {
    _mm_storeu_ps(two_windows, _mm_and_ps(grad, _mm_castsi128_ps(_mm_cmpeq_epi32(position, places))));
  };
  const __m128i above = _mm_setr_epi32(0, 1, 0, 1), below = _mm_setr_epi32(2, 3, 2, 3);
  each_four(outputs, [=](int64_t first) {
    const __m128 grad = zero_plus(_mm_loadu_ps(grads + first));
    const __m128i position = load_bytes(positions + first);
    for (int half : {0, 1}) {
      const int64_t x = 2 * first + half * kLanes;
      store(upper + x, twice(grad, half), twice(position, half), above);
      store(lower + x, twice(grad, half), twice(position, half), below);
    }
  });
}

// ---- Convolution

constexpr int64_t kTaps = 5;  // in each direction
constexpr int64_t kColumns = 8;

// Whether padding with zeros gives the bits of leaving the padding out: a sum that is -0.0 would become 0.0. So no product may be infinite
// or NaN, nor a sum less than the least number: all numbers must be 0 or at least `least`.
TCHX_CLONES static bool allow_padding(const float* numbers, int64_t count, float least) {
  int all = 1;
  for (int64_t i = 0; i < count; ++i) {
    const float size = __builtin_fabsf(numbers[i]);
    all &= (size == 0) | ((size >= least) & (size <= __FLT_MAX__));
  }
  return all != 0;
}

// One row of outputs of kChannels channels, kGroups groups of columns beside each other, of an image with one channel. `x` is the image's
// pixel at the first tap of the first output. Each output adds up its products one after the other, along the rows of the window, in one
// rounding each, and then its bias.
template <int kChannels, int kGroups>
__attribute__((target("avx2,fma"))) inline void convolve_group(const float* x, int64_t width, const float* weights,
                                                               const float* biases, float* y, int64_t plane) {
  __m256 sums[kChannels][kGroups];
  for (auto& of_channel : sums) {
    for (__m256& sum : of_channel) sum = _mm256_setzero_ps();
  }
  for (int64_t row = 0; row < kTaps; ++row) {
    for (int64_t column = 0; column < kTaps; ++column) {
      __m256 pixels[kGroups];
      for (int64_t group = 0; group < kGroups; ++group) {
        pixels[group] = _mm256_loadu_ps(x + row * width + column + group * kColumns);
      }
      for (int64_t c = 0; c < kChannels; ++c) {
        const __m256 weight = _mm256_broadcast_ss(weights + (c * kTaps + row) * kTaps + column);
        for (int64_t group = 0; group < kGroups; ++group) sums[c][group] = _mm256_fmadd_ps(pixels[group], weight, sums[c][group]);
      }
    }
  }
  for (int64_t c = 0; c < kChannels; ++c) {
    const __m256 bias = _mm256_broadcast_ss(biases + c);
    for (int64_t group = 0; group < kGroups; ++group) {
      _mm256_storeu_ps(y + c * plane + group * kColumns, _mm256_add_ps(sums[c][group], bias));
    }
  }
}

// The outputs (channels, height, width) of one image with one channel, which is kTaps - 1 rows and columns larger; its width is two
// groups of columns at least. Channels are taken up to kTogether at a time: so each pixel that is loaded serves all of them.
template <int kTogether = 6>
void convolve(const float* x, const float* weights, const float* biases, float* y, int64_t channels, int64_t height,
              int64_t width) {
  const int64_t plane = height * width, x_width = width + kTaps - 1;
  for (; channels >= kTogether; channels -= kTogether) {
    for (int64_t row = 0; row < height; ++row) {
      const float* from = x + row * x_width;
      float* to = y + row * width;
      // The last groups end with the row: they may repeat outputs of those before.
      for (int64_t first = 0; first < width; first += 2 * kColumns) {
        if (width - first > kColumns) {
          const int64_t begin = std::min(first, width - 2 * kColumns);
          convolve_group<kTogether, 2>(from + begin, x_width, weights, biases, to + begin, plane);
        } else {
          const int64_t begin = width - kColumns;
          convolve_group<kTogether, 1>(from + begin, x_width, weights, biases, to + begin, plane);
        }
      }
    }
    weights += kTogether * kTaps * kTaps;
    biases += kTogether;
    y += kTogether * plane;
  }
  if constexpr (kTogether > 1) {
    if (channels > 0) convolve<kTogether - 1>(x, weights, biases, y, channels, height, width);
  }
}

// ---- Batch norm

// Images of a batch, channel after channel.
struct Batch {
  const float* x;
  int64_t images, channels, pixels;

  // Calls visit(c, x) for each x of channels first + c, c from 0 to kTogether - 1: in each channel one after the other, and the
  // channels side by side.
  template <int kTogether, class Visit>
  void visit(int64_t first, Visit visit) const {
    for (int64_t image = 0; image < images; ++image) {
      const float* plane = x + (image * channels + first) * pixels;
      for (int64_t i = 0; i < pixels; ++i) {
        for (int c = 0; c < kTogether; ++c) visit(c, plane[c * pixels + i]);
      }
    }
  }
};

// Means, and sums of squared deviations, of some channels. Each addition to a sum waits for the one before it; additions to the sums of
// other channels need not.
template <int kTogether>
void statistics(const Batch& batch, int64_t first, float* means, float* squares) {
  double sums[kTogether] = {};
  batch.visit<kTogether>(first, [&](int c, float x) { sums[c] += x; });
  float mean[kTogether];
  for (int c = 0; c < kTogether; ++c) {
    means[first + c] = mean[c] = static_cast<float>(sums[c] / static_cast<double>(batch.images * batch.pixels));
    sums[c] = 0;
  }
  batch.visit<kTogether>(first, [&](int c, float x) {
    const float deviation = x - mean[c];
    sums[c] += deviation * deviation;
  });
  for (int c = 0; c < kTogether; ++c) squares[first + c] = static_cast<float>(sums[c]);
}

// The same of channels begin to end, as many together as there are, up to kTogether.
template <int kTogether = 8>
void statistics_of(const Batch& batch, int64_t begin, int64_t end, float* means, float* squares) {
  for (; end - begin >= kTogether; begin += kTogether) statistics<kTogether>(batch, begin, means, squares);
  if constexpr (kTogether > 1) {
    if (begin < end) statistics_of<kTogether - 1>(batch, begin, end, means, squares);
  }
}

// Some loops come in two kinds, whose bodies are written once: those that round a product before they add to it, and those that do both
// in one rounding.
#define TCHX_FUSED __attribute__((target("avx2,fma"))) inline

template <bool kFused>
TCHX_INLINE float multiply_add(float a, float b, float c) {
  return kFused ? __builtin_fmaf(a, b, c) : a * b + c;
}

// x * scale + shift of one plane.
template <bool kFused>
TCHX_INLINE void scale_and_shift_body(const float* x, float* y, int64_t pixels, float scale, float shift) {
  for (int64_t i = 0; i < pixels; ++i) y[i] = multiply_add<kFused>(x[i], scale, shift);
}
inline void scale_and_shift(const float* x, float* y, int64_t pixels, float scale, float shift) {
  scale_and_shift_body<false>(x, y, pixels, scale, shift);
}
TCHX_FUSED void scale_and_shift_fused(const float* x, float* y, int64_t pixels, float scale, float shift) {
  scale_and_shift_body<true>(x, y, pixels, scale, shift);
}

// Of one plane: the sum of the gradients, and of their products with the deviations of x.
struct PlaneSums {
  float grads, products;
};

// libtorch's vectors have eight lanes here, also where it has AVX-512.
constexpr int kVector = 8;

// libtorch adds up the lanes in pairs if it has AVX2, else one after the other.
TCHX_INLINE float sum_of_lanes(const float* lanes, bool in_pairs) {
  if (in_pairs) return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  float sum = lanes[0];
  for (int lane = 1; lane < kVector; ++lane) sum += lanes[lane];
  return sum;
}

using Vector = float __attribute__((vector_size(kVector * sizeof(float))));

TCHX_INLINE void load(Vector& lanes, const float* from) { std::memcpy(&lanes, from, sizeof lanes); }

// Sums of kTogether planes behind each other. Each addition waits for the one before it; those to the sums of other planes need not.
template <int kTogether>
TCHX_INLINE void sums_of_planes(const float* x, const float* grads, int64_t pixels, const float* means, bool in_pairs,
                                PlaneSums* result) {
  Vector sums[kTogether], products[kTogether];
  for (int64_t i = 0; i + kVector <= pixels; i += kVector) {
    for (int plane = 0; plane < kTogether; ++plane) {
      Vector pixel, grad;
      load(pixel, x + plane * pixels + i);
      load(grad, grads + plane * pixels + i);
      const Vector product = (pixel - means[plane]) * grad;
      sums[plane] = i == 0 ? grad : sums[plane] + grad;
      products[plane] = i == 0 ? product : products[plane] + product;
    }
  }
  for (int plane = 0; plane < kTogether; ++plane) {
    float of_lanes[kVector], products_of_lanes[kVector];
    std::memcpy(of_lanes, &sums[plane], sizeof of_lanes);
    std::memcpy(products_of_lanes, &products[plane], sizeof products_of_lanes);
    for (int64_t i = pixels - pixels % kVector, lane = 0; i < pixels; ++i, ++lane) {
      const float grad = grads[plane * pixels + i];
      of_lanes[lane] += grad;
      products_of_lanes[lane] += (x[plane * pixels + i] - means[plane]) * grad;
    }
    result[plane] = {sum_of_lanes(of_lanes, in_pairs), sum_of_lanes(products_of_lanes, in_pairs)};
  }
}

// Of planes with less pixels than lanes: one after the other.
inline PlaneSums sums_of_small_plane(const float* x, const float* grads, int64_t pixels, float mean) {
  PlaneSums sums{grads[0], (x[0] - mean) * grads[0]};
  for (int64_t i = 1; i < pixels; ++i) {
    sums.grads += grads[i];
    sums.products += (x[i] - mean) * grads[i];
  }
  return sums;
}

// The sums of `count` planes behind each other, the first of which has channel `channel` of `channels`.
TCHX_CLONES static void sums_of(const float* x, const float* grads, int64_t count, int64_t pixels, const float* means,
                                int64_t channel, int64_t channels, bool in_pairs, PlaneSums* result) {
  constexpr int kTogether = 4;
  while (count > 0) {
    float mean[kTogether];
    const int64_t taken = count < kTogether || pixels < kVector ? 1 : kTogether;
    for (int64_t i = 0; i < taken; ++i) {
      mean[i] = means[channel];
      if (++channel == channels) channel = 0;
    }
    if (pixels < kVector) {
      *result = sums_of_small_plane(x, grads, pixels, mean[0]);
    } else if (taken == 1) {
      sums_of_planes<1>(x, grads, pixels, mean, in_pairs, result);
    } else {
      sums_of_planes<kTogether>(x, grads, pixels, mean, in_pairs, result);
    }
    x += taken * pixels;
    grads += taken * pixels;
    result += taken;
    count -= taken;
  }
}

// What the input's gradient needs to know of a channel.
struct ChannelGradient {
  float mean, inverse, weight, mean_of_grads, slope;
};

template <bool kFused>
TCHX_INLINE void input_gradient_body(const float* x, const float* grads, float* result, int64_t pixels, ChannelGradient of) {
  for (int64_t i = 0; i < pixels; ++i) {
    const float rest = multiply_add<kFused>(-(x[i] - of.mean), of.slope, grads[i] - of.mean_of_grads);
    result[i] = rest * of.inverse * of.weight;
  }
}
inline void input_gradient(const float* x, const float* grads, float* result, int64_t pixels, ChannelGradient of) {
  input_gradient_body<false>(x, grads, result, pixels, of);
}
TCHX_FUSED void input_gradient_fused(const float* x, const float* grads, float* result, int64_t pixels, ChannelGradient of) {
  input_gradient_body<true>(x, grads, result, pixels, of);
}

// ---- Random numbers

// MT19937 (Matsumoto and Nishimura, 1998).
constexpr int kStateSize = 624, kShift = 397;

TCHX_INLINE uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t joined = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (joined >> 1) ^ ((0u - (low & 1u)) & 0x9908b0dfu);
}

// The next state of the generator. It goes into other memory: so the compiler sees that it may compute several words side by side.
TCHX_CLONES static void next_state(const uint32_t* __restrict state, uint32_t* __restrict next) {
  for (int i = 0; i < kStateSize - kShift; ++i) next[i] = state[i + kShift] ^ twist(state[i], state[i + 1]);
  for (int i = kStateSize - kShift; i < kStateSize - 1; ++i) {
    next[i] = next[i + kShift - kStateSize] ^ twist(state[i], state[i + 1]);
  }
  next[kStateSize - 1] = next[kShift - 1] ^ twist(state[kStateSize - 1], next[0]);
}

// Words of the state as the generator gives them out.
TCHX_CLONES static void temper(const uint32_t* __restrict state, uint32_t* __restrict words, int count) {
  for (int i = 0; i < count; ++i) {
    uint32_t word = state[i];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    words[i] = word ^ (word >> 18);
  }
}

// `scale` for each draw below `limit`, else 0. A draw is the low 53 bits of two words.
TCHX_CLONES static void scale_if_below(const uint32_t* __restrict words, float* __restrict noise, int draws, int64_t limit,
                                       float scale) {
  for (int i = 0; i < draws; ++i) {
    const int64_t draw = static_cast<int64_t>(words[2 * i] & 0x1fffffu) << 32 | words[2 * i + 1];
    noise[i] = draw < limit ? scale : 0.0f;
  }
}

}  // namespace tchx

#endif
