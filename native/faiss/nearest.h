// Nearest-neighbour search for one query or several: over all rows, or exactly over given rows.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#if __has_include(<faiss/impl/DistanceComputer.h>)
#include <faiss/impl/DistanceComputer.h>
#else
#include <faiss/impl/AuxIndexStructures.h>
#endif
#include "kernels.h"
#include "mapped.h"

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

  // The rows whose bit is 1.
  inline std::vector<uint32_t> rows_of(const std::vector<uint64_t> &bits)
  {
    std::vector<uint32_t> rows;
    for (size_t word = 0; word < bits.size(); word++)
      for (uint64_t left = bits[word]; left != 0; left &= left - 1)
        rows.push_back(64 * word + __builtin_ctzll(left));
    return rows;
  }

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

  // One thread reads about a million values in the time that it takes to start another.
  constexpr size_t VALUES_A_THREAD = 1 << 20;
  // Memory, not arithmetic, is the limit: more threads gain nothing.
  constexpr size_t MOST_THREADS = 4;

  inline size_t threads_for(size_t values)
  {
    const size_t most = std::clamp<size_t>(cores / std::max<size_t>(searches, 1), 1, MOST_THREADS);
    return std::clamp<size_t>(values / VALUES_A_THREAD, 1, most);
  }

  // Runs part(0) … part(threads - 1). The threads end with the search, so that none spins while the model runs.
  template <class Part>
  void in_threads(size_t threads, const Part &part)
  {
    std::vector<std::exception_ptr> failures(threads);
    const auto run = [&](size_t t) {
      try
      {
        part(t);
      }
      catch (...)
      {
        failures[t] = std::current_exception();
      }
    };
    std::vector<std::thread> helpers;
    for (size_t t = 1; t < threads; t++)
    {
      try
      {
        helpers.emplace_back(run, t);
      }
      catch (const std::system_error &)
      {
        run(t); // no thread available: do its share here
      }
    }
    run(0);
    for (auto &helper : helpers)
      helper.join();
    for (const auto &failure : failures)
      if (failure)
        std::rethrow_exception(failure);
  }

  // The k best of the candidates offered to it; of equal ones the lower row, as in FAISS. NaN is skipped.
  class Best
  {
  public:
    Best(size_t k, bool larger_is_better) : k_(k), sign_(larger_is_better ? -1.f : 1.f) { heap_.reserve(k); }

    void offer(float distance, idx_t row)
    {
      const float cost = sign_ * distance;
      if (cost <= worst_)
        take({cost, row});
    }

    void merge(const Best &other)
    {
      for (const auto &candidate : other.heap_)
        if (candidate.first <= worst_)
          take(candidate);
    }

    Found sorted()
    {
      std::sort_heap(heap_.begin(), heap_.end());
      Found found;
      for (const auto &[cost, row] : heap_)
      {
        found.distances.push_back(sign_ * cost);
        found.rows.push_back(row);
      }
      return found;
    }

  private:
    using Candidate = std::pair<float, idx_t>;
    size_t k_;
    float sign_;
    float worst_ = std::numeric_limits<float>::infinity();
    std::vector<Candidate> heap_; // its top is the worst

    void take(const Candidate &candidate)
    {
      if (heap_.size() == k_)
      {
        if (!(candidate < heap_.front()))
          return;
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
      }
      heap_.push_back(candidate);
      std::push_heap(heap_.begin(), heap_.end());
      if (heap_.size() == k_)
        worst_ = heap_.front().first;
    }
  };

  // Merges what the threads found, by query.
  inline std::vector<Found> merged(std::vector<std::vector<Best>> &parts)
  {
    std::vector<Found> found;
    for (size_t q = 0; q < parts[0].size(); q++)
    {
      for (size_t t = 1; t < parts.size(); t++)
        parts[0][q].merge(parts[t][q]);
      found.push_back(parts[0][q].sorted());
    }
    return found;
  }

  // What an index stores that the kernels can compare: floats, floats of 16 bits, or codes of 8 bits with a range per
  // dimension.
  struct Stored
  {
    bool floats = false;
    bool halves = false;
    const faiss::ScalarQuantizer *codes = nullptr;
    bool residual = false; // codes of the difference to the centroid

    explicit Stored(const faiss::Index &index)
    {
      const auto *scalar = dynamic_cast<const faiss::IndexScalarQuantizer *>(&index);
      const auto *lists = dynamic_cast<const faiss::IndexIVFScalarQuantizer *>(&index);
      floats = dynamic_cast<const faiss::IndexFlat *>(&index) || dynamic_cast<const faiss::IndexIVFFlat *>(&index);
      const auto *sq = scalar ? &scalar->sq : lists ? &lists->sq : nullptr;
      residual = lists && lists->by_residual;
      halves = sq && !residual && sq->qtype == faiss::ScalarQuantizer::QT_fp16;
      if (sq && sq->qtype == faiss::ScalarQuantizer::QT_8bit && sq->trained.size() >= 2 * sq->d)
        codes = sq;
    }

    bool comparable() const { return floats || halves || codes; }
  };

  // A query, prepared for comparison with what is stored.
  class Comparison
  {
  public:
    // With floats, if nothing else is stored.
    Comparison(const float *query, const faiss::Index &index, const Stored *stored = nullptr)
        : query_(query), d_(index.d), halves_(stored && stored->halves), codes_(stored ? stored->codes : nullptr),
          squared_(index.metric_type == faiss::METRIC_L2)
    {
      if (!codes_)
        return;
      factors_.resize(d_);
      for (size_t j = 0; j < d_; j++)
        factors_[kernels::place_of(j, d_)] = squared_ ? step(j) : query[j] * step(j);
      if (squared_)
        offsets_.resize(d_);
      move_to(nullptr);
    }

    // From now on the codes are of the differences to this centroid.
    void move_to(const float *centroid)
    {
      double sum = 0;
      for (size_t j = 0; j < d_; j++)
      {
        // A code stands for the middle of its step.
        const float zero = codes_->trained[j] + step(j) / 2 + (centroid ? centroid[j] : 0);
        if (squared_)
          offsets_[kernels::place_of(j, d_)] = query_[j] - zero;
        else
          sum += double(query_[j]) * zero;
      }
      constant_ = static_cast<float>(sum);
    }

    // Distances to rows [from, to) of `stored`, or to those that `rows` names there. `out` begins with `from`.
    void operator()(const uint8_t *stored, const uint32_t *rows, size_t from, size_t to, float *out) const
    {
      if (!codes_)
      {
        const kernels::Kernel floats = squared_ ? kernels::squared_distances : kernels::inner_products;
        const kernels::Kernel halves = squared_ ? kernels::half_distances : kernels::half_products;
        return (halves_ ? halves : floats)(stored, {query_, nullptr, d_}, rows, from, to, out);
      }
      (squared_ ? kernels::code_distances : kernels::code_products)(stored, {factors_.data(), offsets_.data(), d_},
                                                                    rows, from, to, out);
      for (size_t i = 0; i < to - from; i++)
        out[i] += constant_;
    }

  private:
    const float *query_;
    size_t d_;
    bool halves_;
    const faiss::ScalarQuantizer *codes_;
    bool squared_;
    float constant_ = 0;
    std::vector<float> factors_, offsets_;

    float step(size_t j) const { return codes_->trained[d_ + j] / 255; }
  };

  inline bool larger_is_better(const faiss::Index &index) { return index.metric_type == faiss::METRIC_INNER_PRODUCT; }

  // So many rows of a file are copied one by one (1 µs each), so that their pages do not count as memory of the process;
  // more are compared where they are mapped.
  constexpr size_t ROWS_COPIED = 1 << 12;

  // All queries are compared with a block of rows before the next block is read: it stays in the L2 cache.
  constexpr size_t VALUES_A_BLOCK = 1 << 15;

  // The k nearest of n rows that are stored one after another. All queries are compared in one pass over them: reading
  // floats from memory takes as long as comparing three queries.
  //
  // FAISS's own search in a flat index, with a selector for the rows, takes 1.8 to 6.3 times as long (Debian's 1.7.3).
  // CPU time in ms, median of 50, of 25,790 x 512 by inner product, k = 10, one thread of an AMD EPYC with 2 cores (L2 is
  // within 15 %):
  //
  //                        all rows   10 %   50 %   99.99 %   all rows, 16 queries
  //   this                     2.8     1.0    3.7     2.7         20.8
  //   IDSelectorBitmap         9.1     1.8    7.9     9.1        131.1
  //   IDSelectorBatch          9.2     2.5    9.2    10.6        130.5
  inline std::vector<Found> scan_rows(const faiss::IndexFlatCodes &index, const float *queries, size_t count, size_t n,
                                      size_t k, const uint32_t *rows)
  {
    const size_t d = index.d;
    const Stored stored(index);
    const auto *in_file = rows && n <= ROWS_COPIED ? mapped::in_file(index) : nullptr;
    std::vector<Comparison> comparisons;
    for (size_t q = 0; stored.comparable() && q < count; q++)
      comparisons.emplace_back(queries + q * d, index, &stored);
    const size_t block = std::max<size_t>(VALUES_A_BLOCK / d, 1);
    const size_t threads = threads_for(n * d);
    std::vector<std::vector<Best>> best(threads, std::vector<Best>(count, Best(k, larger_is_better(index))));
    in_threads(threads, [&](size_t t) {
      std::vector<std::unique_ptr<faiss::DistanceComputer>> computers;
      for (size_t q = 0; !stored.comparable() && q < count; q++)
      {
        computers.emplace_back(index.get_distance_computer());
        computers.back()->set_query(queries + q * d);
      }
      std::vector<float> distances(block);
      std::vector<uint8_t> copied(in_file ? block * index.code_size : 0);
      const size_t end = n * (t + 1) / threads;
      for (size_t from = n * t / threads; from < end; from += block)
      {
        const size_t to = std::min(from + block, end);
        for (size_t i = from; in_file && i < to; i++)
          in_file->copy(rows[i], copied.data() + (i - from) * index.code_size);
        for (size_t q = 0; q < count; q++)
        {
          if (in_file)
            comparisons[q](copied.data(), nullptr, 0, to - from, distances.data());
          else if (stored.comparable())
            comparisons[q](mapped::codes_of(index), rows, from, to, distances.data());
          else
            for (size_t i = from; i < to; i++)
              distances[i - from] = (*computers[q])(rows ? rows[i] : i);
          for (size_t i = from; i < to; i++)
            best[t][q].offer(distances[i - from], rows ? rows[i] : i);
        }
      }
    });
    return merged(best);
  }

  // A bit per row.
  class Selection
  {
  public:
    Selection(const Rows &rows, size_t n) : given_(rows.given), words_(rows.given ? (n + 63) / 64 : 0)
    {
      for (size_t i = 0; i < rows.length; i++)
        words_[rows.data[i] / 64] |= uint64_t(1) << rows.data[i] % 64;
    }

    // The places of the selected ids among n.
    void places(const idx_t *ids, size_t n, std::vector<uint32_t> &out) const
    {
      out.resize(n);
      size_t count = 0;
      for (size_t i = 0; i < n; i++)
      {
        out[count] = static_cast<uint32_t>(i);
        count += given_ ? words_[ids[i] / 64] >> ids[i] % 64 & 1 : 1;
      }
      out.resize(count);
    }

  private:
    bool given_;
    std::vector<uint64_t> words_;
  };

  // The k nearest of the selected rows in some lists of an inverted file.
  inline Found scan_lists(const faiss::IndexIVF &ivf, const float *query, size_t k, const std::vector<idx_t> &lists,
                          const Selection &selection)
  {
    const Stored stored(ivf);
    const Comparison to_centroid(query, ivf);
    size_t values = 0;
    for (const idx_t list : lists)
      values += ivf.invlists->list_size(list) * ivf.d;
    const size_t threads = threads_for(values);
    std::vector<std::vector<Best>> best(threads, {Best(k, larger_is_better(ivf))});
    std::atomic<size_t> next{0};
    in_threads(threads, [&](size_t t) {
      Comparison comparison(query, ivf, &stored);
      std::unique_ptr<faiss::InvertedListScanner> scanner;
      if (!stored.comparable())
      {
        scanner.reset(ivf.get_InvertedListScanner(false, nullptr));
        scanner->set_query(query);
      }
      std::vector<float> centroid(ivf.d), distances;
      std::vector<uint32_t> places;
      for (size_t i; (i = next++) < lists.size();)
      {
        const idx_t list = lists[i];
        const idx_t *ids = ivf.invlists->get_ids(list);
        const uint8_t *codes = ivf.invlists->get_codes(list);
        selection.places(ids, ivf.invlists->list_size(list), places);
        if (places.empty())
          continue;
        distances.resize(places.size());
        if (stored.residual || scanner)
          ivf.quantizer->reconstruct(list, centroid.data());
        if (scanner)
        {
          float distance;
          to_centroid(reinterpret_cast<const uint8_t *>(centroid.data()), nullptr, 0, 1, &distance);
          scanner->set_list(list, distance);
          for (size_t at = 0; at < places.size(); at++)
            distances[at] = scanner->distance_to_code(codes + places[at] * ivf.code_size);
        }
        else
        {
          if (stored.residual)
            comparison.move_to(centroid.data());
          comparison(codes, places.data(), 0, places.size(), distances.data());
        }
        for (size_t at = 0; at < places.size(); at++)
          best[t][0].offer(distances[at], ids[places[at]]);
      }
    });
    return merged(best).front();
  }

  // A selection of as many values is compared with the refined vectors at once; of a larger one, candidates are chosen
  // by the first index, at least so many for each result.
  constexpr size_t VALUES_REFINED_AT_ONCE = 1 << 24;
  constexpr size_t CANDIDATES_A_RESULT = 16;

  // FAISS's own search of all rows.
  inline Found searched_by_faiss(const faiss::Index &index, const float *query, size_t k)
  {
    Found found{std::vector<float>(k), std::vector<idx_t>(k)};
    index.search(1, query, k, found.distances.data(), found.rows.data());
    const size_t count = std::find(found.rows.begin(), found.rows.end(), -1) - found.rows.begin();
    found.distances.resize(count);
    found.rows.resize(count);
    return found;
  }

  // For each query, the k nearest of all rows, or the exact k nearest of the given rows (by what the index stores;
  // nearly exact, if it is refined and they are many). Fewer if there are fewer rows.
  inline std::vector<Found> search(const faiss::Index &index, const float *queries, size_t count, size_t k,
                                   const Rows &rows)
  {
    const size_t n = rows.given ? rows.length : index.ntotal;
    k = std::min(k, n);
    if (k == 0)
      return std::vector<Found>(count);
    if (!index.is_trained)
      throw std::runtime_error("the index is not trained");
    // FAISS cannot filter wrapped indexes, so the inner ones are searched.
    if (const auto *wrapped = dynamic_cast<const faiss::IndexPreTransform *>(&index))
    {
      const float *inner = wrapped->apply_chain(count, queries);
      const std::unique_ptr<const float[]> made(inner == queries ? nullptr : inner); // an empty chain allocates nothing
      return search(*wrapped->index, inner, count, k, rows);
    }
    if (const auto *refined = dynamic_cast<const faiss::IndexRefine *>(&index))
    {
      if (rows.given && (mapped::in_file(*refined->refine_index) ? n <= ROWS_COPIED : n * index.d <= VALUES_REFINED_AT_ONCE))
        return search(*refined->refine_index, queries, count, k, rows);
      const size_t factor = std::max<size_t>(std::ceil(refined->k_factor), rows.given ? CANDIDATES_A_RESULT : 1);
      std::vector<Found> found = search(*refined->base_index, queries, count, k * factor, rows);
      for (size_t q = 0; q < count; q++)
      {
        const std::vector<uint32_t> candidates(found[q].rows.begin(), found[q].rows.end());
        const Rows among{true, candidates.data(), candidates.size()};
        found[q] = search(*refined->refine_index, queries + q * index.d, 1, k, among).front();
      }
      return found;
    }
    const auto *graph = dynamic_cast<const faiss::IndexHNSW *>(&index);
    if (rows.given && graph)
      return search(*graph->storage, queries, count, k, rows);

    const bool comparable = Stored(index).comparable();
    if (const auto *flat = dynamic_cast<const faiss::IndexFlatCodes *>(&index))
      if (rows.given || comparable)
        return scan_rows(*flat, queries, count, n, k, rows.data);
    const auto *ivf = dynamic_cast<const faiss::IndexIVF *>(&index);
    if (rows.given && !ivf)
      throw std::runtime_error("this type of index cannot be filtered");
    const Selection selection(rows, index.ntotal);
    std::vector<Found> found;
    for (const float *query = queries; query < queries + count * index.d; query += index.d)
    {
      if (!rows.given && !(ivf && comparable))
      {
        found.push_back(searched_by_faiss(index, query, k));
        continue;
      }
      std::vector<idx_t> lists(ivf->nlist);
      if (rows.given)
        std::iota(lists.begin(), lists.end(), 0);
      else
        lists = search(*ivf->quantizer, query, 1, ivf->nprobe, {}).front().rows;
      found.push_back(scan_lists(*ivf, query, k, lists, selection));
    }
    return found;
  }
}
