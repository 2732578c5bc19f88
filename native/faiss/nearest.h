// Nearest-neighbour search for one query or several: over all rows, or exactly over given rows.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/impl/IDSelector.h>
#if __has_include(<faiss/impl/DistanceComputer.h>)
#include <faiss/impl/DistanceComputer.h>
#else
#include <faiss/impl/AuxIndexStructures.h>
#endif

// Compiled in several versions for x86, since Debian's FAISS is built for SSE; the best is chosen when the binary is
// loaded. By CPU feature: `arch=haswell` would be chosen only on those Intel processors, and on none of AMD's. (`fma`
// has 256-bit registers.)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "fma", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace nearest
{
  // `faiss::idx_t` from 1.7.4 on, `faiss::Index::idx_t` before.
  using idx_t = decltype(faiss::Index::ntotal);

  // The rows to search; all rows if none are given.
  struct Rows
  {
    bool given = false;
    const uint32_t *data = nullptr;
    size_t length = 0;
  };

  // The result of a search, best first.
  struct Found
  {
    std::vector<float> distances;
    std::vector<idx_t> rows;
  };

  // Number of cores that all searches together may use; set by the caller, which knows the container's quota.
  inline std::atomic<size_t> cores{1};
  // Number of running searches, which share the cores.
  inline std::atomic<size_t> searches{0};

  // Counts as a running search while it exists.
  struct UnderWay
  {
    UnderWay() { searches++; }
    UnderWay(const UnderWay &) = delete;
    ~UnderWay() { searches--; }
  };

  // Number of partial sums, so that the compiler may use wide registers without reordering a single sum.
  constexpr size_t LANES = 64;

  // Inner products of the query with rows [from, to) of x, or with the rows named in `rows`.
  FOR_EACH_CPU inline void inner_products(const float *x, const float *query, size_t d, const uint32_t *rows,
                                          size_t from, size_t to, float *out)
  {
    for (size_t i = from; i < to; i++)
    {
      const float *row = x + (rows ? rows[i] : i) * d;
      float sums[LANES] = {0};
      size_t j = 0;
      for (; j + LANES <= d; j += LANES)
        for (size_t l = 0; l < LANES; l++)
          sums[l] += row[j + l] * query[j + l];
      float sum = 0;
      for (; j < d; j++)
        sum += row[j] * query[j];
      for (size_t l = 0; l < LANES; l++)
        sum += sums[l];
      out[i] = sum;
    }
  }

  // Squared Euclidean distances, as above.
  FOR_EACH_CPU inline void squared_distances(const float *x, const float *query, size_t d, const uint32_t *rows,
                                             size_t from, size_t to, float *out)
  {
    for (size_t i = from; i < to; i++)
    {
      const float *row = x + (rows ? rows[i] : i) * d;
      float sums[LANES] = {0};
      size_t j = 0;
      for (; j + LANES <= d; j += LANES)
        for (size_t l = 0; l < LANES; l++)
        {
          const float difference = row[j + l] - query[j + l];
          sums[l] += difference * difference;
        }
      float sum = 0;
      for (; j < d; j++)
        sum += (row[j] - query[j]) * (row[j] - query[j]);
      for (size_t l = 0; l < LANES; l++)
        sum += sums[l];
      out[i] = sum;
    }
  }

  // One thread reads about a million floats in the time that it takes to start another.
  constexpr size_t FLOATS_A_THREAD = 1 << 20;
  // Memory, not arithmetic, is the limit: more threads gain nothing.
  constexpr size_t MOST_THREADS = 4;

  // All queries are compared with a block of rows before the next block is read: it stays in the L2 cache.
  constexpr size_t FLOATS_A_BLOCK = 1 << 15;

  // Distances of each query to n rows, query by query. All are computed in one pass over the vectors: reading these
  // from memory takes as long as comparing three queries. The threads end with the search, so that none spins while the
  // model runs.
  inline std::vector<float> flat_distances(const faiss::IndexFlat &index, const float *queries, size_t count,
                                           const uint32_t *rows, size_t n)
  {
    const auto kernel = index.metric_type == faiss::METRIC_L2 ? squared_distances : inner_products;
    const size_t d = index.d;
    const float *x = index.get_xb();
    std::vector<float> out(count * n);
    const size_t most = std::clamp<size_t>(cores / std::max<size_t>(searches, 1), 1, MOST_THREADS);
    const size_t threads = std::clamp<size_t>(n * d / FLOATS_A_THREAD, 1, most);
    const size_t block = std::max<size_t>(FLOATS_A_BLOCK / std::max<size_t>(d, 1), 1);
    std::vector<std::thread> helpers;
    const auto part = [&](size_t t) {
      const size_t end = n * (t + 1) / threads;
      for (size_t from = n * t / threads; from < end; from += block)
        for (size_t q = 0; q < count; q++)
          kernel(x, queries + q * d, d, rows, from, std::min(from + block, end), out.data() + q * n);
    };
    for (size_t t = 1; t < threads; t++)
    {
      try
      {
        helpers.emplace_back(part, t);
      }
      catch (const std::system_error &)
      {
        part(t); // no thread available: do its share here
      }
    }
    part(0);
    for (auto &helper : helpers)
      helper.join();
    return out;
  }

  // The k best of n distances, best first; of equal ones the lower row first, as in FAISS. NaN is skipped.
  inline Found best_of(const float *distances, size_t n, const uint32_t *rows, size_t k, bool larger_is_better)
  {
    const float sign = larger_is_better ? -1 : 1;
    using Candidate = std::pair<float, idx_t>;
    std::vector<Candidate> best; // a heap whose top is the worst
    best.reserve(k + 1);
    for (size_t i = 0; i < n; i++)
    {
      const float cost = sign * distances[i];
      if (std::isnan(cost) || (best.size() == k && cost > best.front().first))
        continue;
      const Candidate candidate(cost, rows ? rows[i] : i);
      if (best.size() < k)
      {
        best.push_back(candidate);
        std::push_heap(best.begin(), best.end());
      }
      else if (candidate < best.front())
      {
        std::pop_heap(best.begin(), best.end());
        best.back() = candidate;
        std::push_heap(best.begin(), best.end());
      }
    }
    std::sort_heap(best.begin(), best.end());
    Found found;
    for (const auto &[cost, row] : best)
    {
      found.distances.push_back(sign * cost);
      found.rows.push_back(row);
    }
    return found;
  }

  // The exact k nearest to each query, in an index that stores its vectors unchanged.
  //
  // FAISS's own search, with a selector for the rows, takes 1.8 to 6.3 times as long (Debian's 1.7.3). CPU time in
  // ms, median of 50, of 25,790 x 512 by inner product, k = 10, one thread of an AMD EPYC with 2 cores (L2 is within
  // 15 %):
  //
  //                        all rows   10 %   50 %   99.99 %   all rows, 16 queries
  //   this                     2.8     1.0    3.7     2.7         20.8
  //   IDSelectorBitmap         9.1     1.8    7.9     9.1        131.1
  //   IDSelectorBatch          9.2     2.5    9.2    10.6        130.5
  inline std::vector<Found> flat_search(const faiss::IndexFlat &index, const float *queries, size_t count, size_t k,
                                        const Rows &rows)
  {
    const size_t n = rows.given ? rows.length : index.ntotal;
    k = std::min(k, n);
    if (k == 0)
      return std::vector<Found>(count);
    const auto distances = flat_distances(index, queries, count, rows.data, n);
    std::vector<Found> found;
    for (size_t q = 0; q < count; q++)
      found.push_back(
          best_of(distances.data() + q * n, n, rows.data, k, index.metric_type == faiss::METRIC_INNER_PRODUCT));
    return found;
  }

  // Distances to the given rows, computed from what the index stores.
  inline std::vector<float> stored_distances(const faiss::Index &index, const float *query, const uint32_t *rows,
                                             size_t n)
  {
    const auto *graph = dynamic_cast<const faiss::IndexHNSW *>(&index);
    std::unique_ptr<faiss::DistanceComputer> computer((graph ? *graph->storage : index).get_distance_computer());
    computer->set_query(query);
    std::vector<float> out(n);
    for (size_t i = 0; i < n; i++)
      out[i] = (*computer)(rows[i]);
    return out;
  }

  // The k nearest of all rows, or the exact k nearest of the given rows (by what the index stores). Fewer if there are
  // fewer rows.
  inline Found search(const faiss::Index &index, const float *query, size_t k, const Rows &rows)
  {
    const size_t n = rows.given ? rows.length : index.ntotal;
    k = std::min(k, n);
    if (k == 0)
      return {};
    const bool larger_is_better = index.metric_type == faiss::METRIC_INNER_PRODUCT;
    if (const auto *flat = dynamic_cast<const faiss::IndexFlat *>(&index))
      return flat_search(*flat, query, 1, k, rows).front();
    if (rows.given)
    {
      // FAISS cannot filter wrapped indexes, so the inner ones are searched.
      if (const auto *wrapped = dynamic_cast<const faiss::IndexPreTransform *>(&index))
      {
        const float *inner = wrapped->apply_chain(1, query);
        const std::unique_ptr<const float[]> made(inner == query ? nullptr : inner); // an empty chain allocates nothing
        return search(*wrapped->index, inner, k, rows);
      }
      if (const auto *refined = dynamic_cast<const faiss::IndexRefine *>(&index))
        return search(*refined->refine_index, query, k, rows);
    }
    const auto *ivf = dynamic_cast<const faiss::IndexIVF *>(&index);
    if (rows.given && !ivf)
      return best_of(stored_distances(index, query, rows.data, n).data(), n, rows.data, k, larger_is_better);

    Found found{std::vector<float>(k), std::vector<idx_t>(k)};
    if (rows.given)
    {
      const std::vector<idx_t> ids(rows.data, rows.data + rows.length);
      faiss::IDSelectorBatch selector(ids.size(), ids.data());
      faiss::SearchParametersIVF everywhere;
      everywhere.sel = &selector;
      everywhere.nprobe = ivf->nlist;
      index.search(1, query, k, found.distances.data(), found.rows.data(), &everywhere);
    }
    else
      index.search(1, query, k, found.distances.data(), found.rows.data());
    const size_t count = std::find(found.rows.begin(), found.rows.end(), -1) - found.rows.begin();
    found.distances.resize(count);
    found.rows.resize(count);
    return found;
  }

  // The same for several queries, concatenated.
  inline std::vector<Found> search(const faiss::Index &index, const float *queries, size_t count, size_t k,
                                   const Rows &rows)
  {
    if (const auto *flat = dynamic_cast<const faiss::IndexFlat *>(&index))
      return flat_search(*flat, queries, count, k, rows);
    std::vector<Found> found;
    for (size_t q = 0; q < count; q++)
      found.push_back(search(index, queries + q * index.d, k, rows));
    return found;
  }
}
