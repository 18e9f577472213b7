// The loops of tchx_kernels.cpp, without a word of libtorch. On each element they do the operations of libtorch's kernels in the same
// order, several elements side by side: so each result has the same bits. SSE2 is in every x86-64 processor.
#pragma once
#if defined(__SSE2__)

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

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
    const __m128i wins_too = _mm_castps_si128(wins);
    pixel = _mm_or_ps(_mm_and_ps(wins, other), _mm_andnot_ps(wins, pixel));
    position = _mm_or_si128(_mm_and_si128(wins_too, _mm_set1_epi32(its_position)), _mm_andnot_si128(wins_too, position));
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

// The largest pixels of a pair of rows over windows of 2 x 2, and their positions (0 to 3, along the rows).
inline void max_pool_2x2(const float* upper, const float* lower, float* pixels, uint8_t* positions, int64_t outputs) {
  each_four(outputs, [=](int64_t first) {
    const FourWindows windows(upper + 2 * first, lower + 2 * first);
    Largest largest{windows.pixels[0]};
    for (int position : {1, 2, 3}) largest.compare(windows.pixels[position], position);
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

// x * scale + shift of one plane, rounded twice.
inline void scale_and_shift(const float* x, float* y, int64_t pixels, float scale, float shift) {
  for (int64_t i = 0; i < pixels; ++i) y[i] = x[i] * scale + shift;
}

// The same, rounded once.
__attribute__((target("avx2,fma"))) inline void scale_and_shift_fused(const float* x, float* y, int64_t pixels, float scale,
                                                                     float shift) {
  const __m256 scales = _mm256_set1_ps(scale), shifts = _mm256_set1_ps(shift);
  int64_t i = 0;
  for (; i + 8 <= pixels; i += 8) _mm256_storeu_ps(y + i, _mm256_fmadd_ps(_mm256_loadu_ps(x + i), scales, shifts));
  for (; i < pixels; ++i) y[i] = __builtin_fmaf(x[i], scale, shift);
}

// ---- Random numbers

// MT19937 (Matsumoto and Nishimura, 1998): the next state of the generator.
struct Mt19937 {
  static constexpr int kSize = 624, kShift = 397;
  using State = std::array<uint32_t, kSize>;

  static uint32_t twist(uint32_t high, uint32_t low) {
    const uint32_t joined = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (joined >> 1) ^ ((0u - (low & 1u)) & 0x9908b0dfu);
  }
  // Into other memory: so the compiler sees that it may compute several words side by side.
  static void next(const State& state, State& next) {
    for (int i = 0; i < kSize - kShift; ++i) next[i] = state[i + kShift] ^ twist(state[i], state[i + 1]);
    for (int i = kSize - kShift; i < kSize - 1; ++i) next[i] = next[i + kShift - kSize] ^ twist(state[i], state[i + 1]);
    next[kSize - 1] = next[kShift - 1] ^ twist(state[kSize - 1], next[0]);
  }
  static uint32_t temper(uint32_t word) {
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
  }
};

}  // namespace tchx

#endif
