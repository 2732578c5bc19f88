// Distances of one query to many stored vectors: floats, floats of 16 bits, or codes of 8 bits a dimension.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// Compiled in several versions for x86, since Debian's FAISS is built for SSE; the best is chosen when the binary is
// loaded, by what the processor can do: the levels of x86-64, which stand for AMD's processors too.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace kernels
{
  // What a query is compared with: `d` dimensions a row, and for codes the factors below.
  struct Query
  {
    const float *values;  // the query, or a factor per code
    const float *offsets; // only for squared distances to codes
    size_t d;
  };

  // Distances of the query to rows [from, to), or to the rows that `rows` names there. `out` begins with `from`.
  using Kernel = void (*)(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from, size_t to,
                          float *out);

  // Number of partial sums, so that the compiler may use wide registers without reordering a single sum.
  constexpr size_t LANES = 64;

  // Floats that lie anywhere: those of a mapped file are not aligned.
  typedef float loose __attribute__((aligned(1), may_alias));

  // Rows that are read ahead when they do not follow one another, in rows.
  constexpr size_t AHEAD = 4;

  inline __attribute__((always_inline)) const uint8_t *row_at(const uint8_t *stored, size_t bytes,
                                                              const uint32_t *rows, size_t i, size_t to)
  {
    if (!rows)
      return stored + i * bytes;
    if (i + AHEAD < to)
      for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch(stored + size_t(rows[i + AHEAD]) * bytes + at);
    return stored + size_t(rows[i]) * bytes;
  }

  FOR_EACH_CPU inline void inner_products(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from,
                                          size_t to, float *out)
  {
    const size_t d = query.d;
    const float *values = query.values;
    for (size_t i = from; i < to; i++)
    {
      const auto *row = reinterpret_cast<const loose *>(row_at(stored, d * sizeof(float), rows, i, to));
      float sums[LANES] = {0};
      size_t j = 0;
      for (; j + LANES <= d; j += LANES)
        for (size_t l = 0; l < LANES; l++)
          sums[l] += row[j + l] * values[j + l];
      float sum = 0;
      for (; j < d; j++)
        sum += row[j] * values[j];
      for (size_t l = 0; l < LANES; l++)
        sum += sums[l];
      out[i - from] = sum;
    }
  }

  FOR_EACH_CPU inline void squared_distances(const uint8_t *stored, const Query &query, const uint32_t *rows,
                                             size_t from, size_t to, float *out)
  {
    const size_t d = query.d;
    const float *values = query.values;
    for (size_t i = from; i < to; i++)
    {
      const auto *row = reinterpret_cast<const loose *>(row_at(stored, d * sizeof(float), rows, i, to));
      float sums[LANES] = {0};
      size_t j = 0;
      for (; j + LANES <= d; j += LANES)
        for (size_t l = 0; l < LANES; l++)
        {
          const float difference = row[j + l] - values[j + l];
          sums[l] += difference * difference;
        }
      float sum = 0;
      for (; j < d; j++)
        sum += (row[j] - values[j]) * (row[j] - values[j]);
      for (size_t l = 0; l < LANES; l++)
        sum += sums[l];
      out[i - from] = sum;
    }
  }

  // 64 codes are read as 16 numbers of four codes each: shifting and masking those takes half the time of widening
  // bytes. Factors and offsets are ordered accordingly.
  typedef float Floats __attribute__((vector_size(64)));
  typedef int32_t Ints __attribute__((vector_size(64)));
  typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));
  typedef int32_t LooseInts __attribute__((vector_size(64), aligned(1), may_alias));

  inline __attribute__((always_inline)) float total(const Floats sums)
  {
    float parts[16];
    std::memcpy(parts, &sums, sizeof(parts));
    for (size_t half = 8; half > 0; half /= 2)
      for (size_t l = 0; l < half; l++)
        parts[l] += parts[l + half];
    return parts[0];
  }

  // The place of a code's factor: `j` itself after the last whole 64.
  inline size_t place_of(size_t j, size_t d)
  {
    return j < d - d % LANES ? j / LANES * LANES + j % 4 * 16 + j % LANES / 4 : j;
  }

  // Of codes c: the sum of values·c, or of (offsets - values·c)².
  template <bool SQUARED>
  inline __attribute__((always_inline)) void compare_codes(const uint8_t *stored, const Query &query,
                                                           const uint32_t *rows, size_t from, size_t to, float *out)
  {
    const size_t d = query.d;
    const float *values = query.values, *offsets = query.offsets;
    for (size_t i = from; i < to; i++)
    {
      const uint8_t *row = row_at(stored, d, rows, i, to);
      Floats sums[4] = {};
      size_t j = 0;
      for (; j + LANES <= d; j += LANES)
      {
        const Ints fours = *reinterpret_cast<const LooseInts *>(row + j);
        for (int byte = 0; byte < 4; byte++)
        {
          const Floats codes = __builtin_convertvector((fours >> 8 * byte) & 255, Floats);
          const Floats products = codes * *reinterpret_cast<const LooseFloats *>(values + j + 16 * byte);
          if (SQUARED)
          {
            const Floats difference = *reinterpret_cast<const LooseFloats *>(offsets + j + 16 * byte) - products;
            sums[byte] += difference * difference;
          }
          else
            sums[byte] += products;
        }
      }
      float rest = 0;
      for (; j < d; j++)
      {
        const float product = values[j] * row[j];
        rest += SQUARED ? (offsets[j] - product) * (offsets[j] - product) : product;
      }
      out[i - from] = rest + total((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
  }

  FOR_EACH_CPU inline void code_products(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from,
                                         size_t to, float *out)
  {
    compare_codes<false>(stored, query, rows, from, to, out);
  }

  FOR_EACH_CPU inline void code_distances(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from,
                                          size_t to, float *out)
  {
    compare_codes<true>(stored, query, rows, from, to, out);
  }

  typedef uint16_t LooseHalves __attribute__((vector_size(32), aligned(1), may_alias));

  // Floats of 16 bits (1 sign, 5 exponent, 10 fraction) moved to the places that 32 bits have for them, but for the
  // exponent's bias, which is 112 less. Subnormal numbers come out right too; infinity and NaN become NaN.
  inline __attribute__((always_inline)) Floats widened(const Ints halves)
  {
    const Floats magnitude = (Floats)((halves & 0x7fff) << 13) * 0x1p112f;
    const Ints undefined = (halves & 0x7c00) == 0x7c00;
    return (Floats)((Ints)magnitude | (halves & 0x8000) << 16 | undefined);
  }

  // Of floats of 16 bits x: the sum of values·x, or of (values - x)².
  template <bool SQUARED>
  inline __attribute__((always_inline)) void compare_halves(const uint8_t *stored, const Query &query,
                                                            const uint32_t *rows, size_t from, size_t to, float *out)
  {
    constexpr size_t WIDTH = 16;
    const size_t d = query.d;
    const auto add = [](Floats &sums, const Floats values, const Floats halves) __attribute__((always_inline)) {
      sums += SQUARED ? (values - halves) * (values - halves) : values * halves;
    };
    for (size_t i = from; i < to; i++)
    {
      const uint8_t *row = row_at(stored, 2 * d, rows, i, to);
      Floats sums[2] = {};
      size_t j = 0;
      for (; j + WIDTH <= d; j += WIDTH)
        add(sums[j / WIDTH % 2], *reinterpret_cast<const LooseFloats *>(query.values + j),
            widened(__builtin_convertvector(*reinterpret_cast<const LooseHalves *>(row + 2 * j), Ints)));
      if (j < d)
      {
        uint16_t rest[WIDTH] = {0};
        float values[WIDTH] = {0};
        std::memcpy(rest, row + 2 * j, 2 * (d - j));
        std::memcpy(values, query.values + j, sizeof(float) * (d - j));
        add(sums[0], *reinterpret_cast<const LooseFloats *>(values),
            widened(__builtin_convertvector(*reinterpret_cast<const LooseHalves *>(rest), Ints)));
      }
      out[i - from] = total(sums[0] + sums[1]);
    }
  }

  FOR_EACH_CPU inline void half_products(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from,
                                         size_t to, float *out)
  {
    compare_halves<false>(stored, query, rows, from, to, out);
  }

  FOR_EACH_CPU inline void half_distances(const uint8_t *stored, const Query &query, const uint32_t *rows, size_t from,
                                          size_t to, float *out)
  {
    compare_halves<true>(stored, query, rows, from, to, out);
  }
}
