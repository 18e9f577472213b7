// Compiled with AVX2. It instantiates no template of the standard library: the linker might take its AVX2 code for the whole program.
#include "tchx_formula_loops.h"

#include <immintrin.h>

namespace tchx::formula {
namespace {

// ---- Eight numbers at a time, or a single one where fewer are left

using Eight = __m256;

inline void load(const float* from, float& x) { x = *from; }
inline void load(const float* from, Eight& x) { x = _mm256_loadu_ps(from); }
inline void repeat(float value, float& x) { x = value; }
inline void repeat(float value, Eight& x) { x = _mm256_set1_ps(value); }
inline void store(float* to, float x) { *to = x; }
inline void store(float* to, Eight x) { _mm256_storeu_ps(to, x); }

template <class T>
T loaded(const float* from) {
  T x;
  load(from, x);
  return x;
}
template <class T>
T repeated(float value) {
  T x;
  repeat(value, x);
  return x;
}

// ---- libtorch's order of a sum

constexpr int kChains = 4, kLevels = 4, kPower = 4;
constexpr int64_t kBlock = 1 << kPower;

template <class T>
struct Chains {
  T sums[kChains];

  Chains() { clear(); }
  void clear() {
    for (T& sum : sums) sum = repeated<T>(0);
  }
  void operator+=(const Chains& others) {
    for (int k = 0; k < kChains; ++k) sums[k] += others.sums[k];
  }
};

// Adds term(i, k) to chain k for each i below count: in blocks, the blocks' sums in blocks of their own, and so on.
template <class T, class Term>
Chains<T> cascade(int64_t count, Term term) {
  const auto sum_of = [&](int64_t begin, int64_t end) {
    Chains<T> chains;
    for (int64_t i = begin; i < end; ++i) {
      for (int k = 0; k < kChains; ++k) chains.sums[k] += term(i, k);
    }
    return chains;
  };
  if (count < kBlock) return sum_of(0, count);
  Chains<T> levels[kLevels];
  int64_t done = 0;
  while (done + kBlock <= count) {
    levels[0] = sum_of(done, done + kBlock);
    done += kBlock;
    for (int level = 1; level < kLevels; ++level) {
      levels[level] += levels[level - 1];
      levels[level - 1].clear();
      if ((done & ((kBlock - 1) << (level * kPower))) != 0) break;
    }
  }
  levels[0] = sum_of(done, count);
  for (int level = 1; level < kLevels; ++level) levels[0] += levels[level];
  return levels[0];
}

// The sum of term(i) for i below count, of which each fourth goes to the same chain.
template <class T, class Term>
T sum_in_chains(int64_t count, Term term) {
  const int64_t whole = count / kChains;
  auto [sums] = cascade<T>(whole, [&](int64_t i, int k) { return term(kChains * i + k); });
  for (int64_t i = whole * kChains; i < count; ++i) sums[0] += term(i);
  return sums[0] + sums[1] + sums[2] + sums[3];
}

// A sum over each channel: where it goes, and what it adds up. term(zero, i, place) is the term of element i, or of the eight from i on: as
// many as there are in `zero`. `place` is their channel's.
template <class Term>
struct Sum {
  float* of_channel;
  Term term;
};
template <class Term>
Sum(float*, Term) -> Sum<Term>;

// ---- Batches

// A channel of images, plane after plane.
struct Planes {
  int64_t samples, channels, pixels, channel;

  // All elements have the same channel's values.
  struct Place {
    int64_t channel;
    template <class T>
    T of(const float* values) const {
      return repeated<T>(values[channel]);
    }
  };

  int64_t begin() const { return channel; }
  int64_t end() const { return channel + 1; }
  float count() const { return static_cast<float>(samples * pixels); }

  template <class... Term>
  void sum(Sum<Term>... sums) const {
    ((sums.of_channel[channel] = 0), ...);
    for (int64_t sample = 0; sample < samples; ++sample) {
      ((sums.of_channel[channel] += sum_of_plane(plane_of(sample), sums.term)), ...);
    }
  }

  // Calls work(zero, i, place) for all elements, with arguments as a term has them.
  template <class Work>
  void each(Work work) const {
    for (int64_t sample = 0; sample < samples; ++sample) {
      const int64_t plane = plane_of(sample);
      int64_t i = 0;
      for (; i + kLanes <= pixels; i += kLanes) work(Eight{}, plane + i, Place{channel});
      for (; i < pixels; ++i) work(0.0f, plane + i, Place{channel});
    }
  }

 private:
  int64_t plane_of(int64_t sample) const { return (sample * channels + channel) * pixels; }

  template <class Term>
  float sum_of_plane(int64_t plane, Term term) const {
    const Place place{channel};
    const int64_t groups = pixels / kLanes;
    float lanes[kLanes], sum = 0;
    store(lanes, sum_in_chains<Eight>(groups, [&](int64_t i) { return term(Eight{}, plane + kLanes * i, place); }));
    for (int64_t i = groups * kLanes; i < pixels; ++i) sum += term(0.0f, plane + i, place);
    for (float lane : lanes) sum += lane;
    return sum;
  }
};

// All channels of features, row after row.
struct Columns {
  int64_t samples, channels;

  // The elements of a row have channels beside each other.
  struct Place {
    int64_t channel;
    template <class T>
    T of(const float* values) const {
      return loaded<T>(values + channel);
    }
  };

  int64_t begin() const { return 0; }
  int64_t end() const { return channels; }
  float count() const { return static_cast<float>(samples); }

  template <class... Term>
  void sum(Sum<Term>... sums) const {
    (sum_of_columns(sums.of_channel, sums.term), ...);
  }

  template <class Work>
  void each(Work work) const {
    for (int64_t row = 0; row < samples; ++row) {
      int64_t c = 0;
      for (; c + kLanes <= channels; c += kLanes) work(Eight{}, row * channels + c, Place{c});
      for (; c < channels; ++c) work(0.0f, row * channels + c, Place{c});
    }
  }

 private:
  template <class Term>
  void sum_of_columns(float* of_channel, Term term) const {
    int64_t c = 0;
    for (; c + kChains * kLanes <= channels; c += kChains * kLanes) {
      const auto chains = cascade<Eight>(samples, [&](int64_t row, int k) {
        const int64_t column = c + k * kLanes;
        return term(Eight{}, row * channels + column, Place{column});
      });
      for (int k = 0; k < kChains; ++k) store(of_channel + c + k * kLanes, chains.sums[k]);
    }
    const auto sum_of_column = [&](auto zero) {
      const auto in_row = [&](int64_t row) { return term(zero, row * channels + c, Place{c}); };
      store(of_channel + c, sum_in_chains<decltype(zero)>(samples, in_row));
    };
    for (; c + kLanes <= channels; c += kLanes) sum_of_column(Eight{});
    for (; c < channels; ++c) sum_of_column(0.0f);
  }
};

// Calls work with Planes or Columns. One channel of images goes through all loops before the next: it may stay in the processor's cache.
template <class Work>
void with_channels(const Batch& batch, Work work) {
  if (batch.pixels == 1) return work(Columns{batch.samples, batch.channels});
  for (int64_t c = batch.begin; c < batch.end; ++c) work(Planes{batch.samples, batch.channels, batch.pixels, c});
}

// ---- Batch norm

// x - mean.
template <class T, class Place>
T centred(const float* x, const float* mean, int64_t i, Place place) {
  return loaded<T>(x + i) - place.template of<T>(mean);
}

template <class Channels>
void set_statistics_of(const Channels& channels, const float* x, float* mean, float* var) {
  const auto divide = [&](float* sums) {
    for (int64_t c = channels.begin(); c < channels.end(); ++c) sums[c] /= channels.count();
  };
  channels.sum(Sum{mean, [=](auto zero, int64_t i, auto) { return loaded<decltype(zero)>(x + i); }});
  divide(mean);
  channels.sum(Sum{var, [=](auto zero, int64_t i, auto place) {
                     const auto deviation = centred<decltype(zero)>(x, mean, i, place);
                     return deviation * deviation;
                   }});
  divide(var);
}

template <class Channels>
void differentiate_in(const Channels& channels, const Inputs& in, const Gradients& d) {
  const auto of_x_hat = [=](auto zero, int64_t i, auto place) {
    using T = decltype(zero);
    return loaded<T>(d.y + i) * place.template of<T>(in.gamma);
  };
  float* of_deviation = d.square;
  channels.sum(
      Sum{d.beta, [=](auto zero, int64_t i, auto) { return loaded<decltype(zero)>(d.y + i); }},
      Sum{d.gamma,
          [=](auto zero, int64_t i, auto place) {
            using T = decltype(zero);
            const T x_hat = centred<T>(in.x, in.mean, i, place) / place.template of<T>(in.deviation);
            store(d.x_by_x_hat + i, x_hat);
            return loaded<T>(d.y + i) * x_hat;
          }},
      Sum{of_deviation,
          [=](auto zero, int64_t i, auto place) {
            using T = decltype(zero);
            return -of_x_hat(zero, i, place) * (loaded<T>(d.x_by_x_hat + i) / place.template of<T>(in.deviation));
          }},
      Sum{d.mean, [=](auto zero, int64_t i, auto place) {
            using T = decltype(zero);
            const T by_x_hat = of_x_hat(zero, i, place) / place.template of<T>(in.deviation);
            store(d.x_by_x_hat + i, by_x_hat);
            return -by_x_hat;
          }});
  const float count = channels.count();
  for (int64_t c = channels.begin(); c < channels.end(); ++c) {
    d.square[c] = of_deviation[c] / (2 * in.deviation[c]) / count;
  }
  channels.sum(Sum{d.mean_by_var, [=](auto zero, int64_t i, auto place) {
                     using T = decltype(zero);
                     const T by_var = place.template of<T>(d.square) * (repeated<T>(2) * centred<T>(in.x, in.mean, i, place));
                     store(d.x_by_var + i, by_var);
                     return -by_var;
                   }});
  for (int64_t c = channels.begin(); c < channels.end(); ++c) d.mean[c] = (d.mean[c] + d.mean_by_var[c]) / count;
}

}  // namespace

void set_statistics(const Batch& batch, const float* x, float* mean, float* var) {
  with_channels(batch, [=](const auto& channels) { set_statistics_of(channels, x, mean, var); });
}

void normalize(const Batch& batch, const Inputs& in, const float* beta, float* y) {
  with_channels(batch, [=](const auto& channels) {
    channels.each([=](auto zero, int64_t i, auto place) {
      using T = decltype(zero);
      const T x_hat = centred<T>(in.x, in.mean, i, place) / place.template of<T>(in.deviation);
      store(y + i, place.template of<T>(in.gamma) * x_hat + place.template of<T>(beta));
    });
  });
}

void differentiate(const Batch& batch, const Inputs& in, const Gradients& gradients) {
  with_channels(batch, [=](const auto& channels) { differentiate_in(channels, in, gradients); });
}

void move(float* moving, const float* batch, int64_t channels, double momentum) {
  const auto kept = static_cast<float>(momentum), taken = static_cast<float>(1 - momentum);
  for (int64_t c = 0; c < channels; ++c) moving[c] = moving[c] * kept + batch[c] * taken;
}

}  // namespace tchx::formula
