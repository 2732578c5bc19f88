// Checks that an index can be served: its type supports every operation, and it is intact, so that nothing in it can
// make a search read out of bounds.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/VectorTransform.h>
#include <faiss/invlists/InvertedLists.h>
#include "mapped.h"

namespace served
{
  using idx_t = decltype(faiss::Index::ntotal);

  // A type that is not served. `what` names it: VectorIndex.open makes a sentence of it.
  struct Unserved : std::runtime_error
  {
    explicit Unserved(const std::string &what) : std::runtime_error("not served: " + what) {}
  };

  inline void expect(bool sound, const char *part)
  {
    if (!sound)
      throw std::runtime_error(std::string(part) + " is damaged");
  }

  template <class T>
  inline T *exactly(const faiss::Index *index)
  {
    return index && typeid(*index) == typeid(T) ? static_cast<T *>(const_cast<faiss::Index *>(index)) : nullptr;
  }

  inline void check(const faiss::Index *index);

  // Bits of a code per dimension.
  inline size_t bits_of(faiss::ScalarQuantizer::QuantizerType type)
  {
    switch (type)
    {
    case faiss::ScalarQuantizer::QT_fp16:
      return 16;
    case faiss::ScalarQuantizer::QT_6bit:
      return 6;
    case faiss::ScalarQuantizer::QT_4bit:
    case faiss::ScalarQuantizer::QT_4bit_uniform:
      return 4;
    default:
      return 8;
    }
  }

  // Of a refined index, for each result. Python's default is 1.
  constexpr float MOST_CANDIDATES = 1 << 16;

  inline void check_quantizer(const faiss::ScalarQuantizer &sq, size_t d, bool is_trained)
  {
    using Q = faiss::ScalarQuantizer;
    // Newer ones (bf16 is the next) abort the process when they are first used.
    if (sq.qtype < Q::QT_8bit || sq.qtype > Q::QT_6bit)
      throw Unserved("a scalar quantizer of a kind newer than the FAISS here (SQbf16 is one)");
    if (sq.qtype == Q::QT_8bit_direct)
      throw Unserved("a scalar quantizer of whole numbers (SQ8_direct), which embeddings are not");
    const bool uniform = sq.qtype == Q::QT_8bit_uniform || sq.qtype == Q::QT_4bit_uniform;
    const size_t trained = sq.qtype == Q::QT_fp16 ? 0 : uniform ? 2 : 2 * d;
    const size_t bits = bits_of(sq.qtype);
    expect(sq.d == d && sq.code_size == (d * bits + 7) / 8 && (sq.trained.size() >= trained || (!is_trained && sq.trained.empty())),
           "the scalar quantizer");
  }

  inline void check_quantizer(const faiss::ProductQuantizer &pq, size_t d)
  {
    expect(pq.d == d && pq.M > 0 && d % pq.M == 0 && pq.dsub == d / pq.M && pq.nbits > 0 && pq.nbits <= 16 &&
               pq.ksub == size_t(1) << pq.nbits && pq.code_size == (pq.nbits * pq.M + 7) / 8 &&
               pq.centroids.size() == d * pq.ksub,
           "the product quantizer");
  }

  inline void check_graph(const faiss::IndexHNSW &graph)
  {
    const auto &hnsw = graph.hnsw;
    const auto n = static_cast<size_t>(graph.ntotal);
    check(graph.storage);
    const int levels = static_cast<int>(hnsw.cum_nneighbor_per_level.size());
    expect(graph.storage->ntotal == graph.ntotal && graph.storage->d == graph.d && hnsw.levels.size() == n &&
               hnsw.offsets.size() == n + 1 && hnsw.max_level >= -1 && hnsw.max_level + 1 < levels && hnsw.efSearch > 0,
           "the graph");
    for (int level = 0; level < levels; level++)
      expect(hnsw.cum_nneighbor_per_level[level] >= (level == 0 ? 0 : hnsw.cum_nneighbor_per_level[level - 1]),
             "the graph");
    if (n == 0)
      return;
    // `levels` counts from 1. A search descends from the entry point's level, so the entry point must have that many.
    expect(hnsw.entry_point >= 0 && static_cast<size_t>(hnsw.entry_point) < n && hnsw.max_level >= 0 &&
               hnsw.levels[hnsw.entry_point] == hnsw.max_level + 1,
           "the graph's entry point");
    for (size_t i = 0; i < n; i++)
      expect(hnsw.levels[i] >= 1 && hnsw.levels[i] < levels && hnsw.offsets[i] <= hnsw.offsets[i + 1] &&
                 hnsw.offsets[i + 1] <= hnsw.neighbors.size() && hnsw.cum_nneighbor_per_level[hnsw.levels[i]] >= 0 &&
                 hnsw.offsets[i] + hnsw.cum_nneighbor_per_level[hnsw.levels[i]] <= hnsw.offsets[i + 1],
             "the graph");
    for (size_t i = 0; i < n; i++)
      for (int level = 0; level < hnsw.levels[i]; level++)
        for (size_t at = hnsw.offsets[i] + hnsw.cum_nneighbor_per_level[level];
             at < hnsw.offsets[i] + hnsw.cum_nneighbor_per_level[level + 1]; at++)
        {
          const int64_t neighbour = hnsw.neighbors[at];
          // A neighbour on a level must be on that level itself.
          expect(neighbour >= -1 && neighbour < static_cast<int64_t>(n) &&
                     (neighbour < 0 || hnsw.levels[neighbour] > level),
                 "the graph");
        }
  }

  inline void check_lists(const faiss::IndexIVF &ivf)
  {
    const auto *arrays = dynamic_cast<const faiss::ArrayInvertedLists *>(ivf.invlists);
    if (!arrays && !dynamic_cast<const mapped::Lists *>(ivf.invlists))
      throw Unserved("an inverted file of lists of another kind than arrays");
    check(ivf.quantizer);
    expect(ivf.nlist > 0 && ivf.quantizer->d == ivf.d &&
               (!ivf.is_trained || static_cast<size_t>(ivf.quantizer->ntotal) == ivf.nlist) &&
               ivf.invlists->nlist == ivf.nlist && ivf.invlists->code_size == ivf.code_size &&
               (!arrays || (arrays->codes.size() == ivf.nlist && arrays->ids.size() == ivf.nlist)) && ivf.nprobe > 0,
           "the inverted file");
    size_t entries = 0;
    for (size_t i = 0; i < ivf.nlist; i++)
    {
      expect(!arrays || arrays->codes[i].size() == arrays->ids[i].size() * ivf.code_size, "an inverted list");
      entries += ivf.invlists->list_size(i);
    }
    if (entries < static_cast<size_t>(ivf.ntotal))
      throw Unserved("an inverted file in which some of its vectors have no cell (those with NaN, as a rule)");
    expect(entries == static_cast<size_t>(ivf.ntotal), "the inverted file");
  }

  inline void check_transform(const faiss::VectorTransform *transform)
  {
    if (const auto *linear = dynamic_cast<const faiss::LinearTransform *>(transform))
      return expect(linear->d_in > 0 && linear->d_out > 0 &&
                        (!linear->is_trained || (linear->A.size() == size_t(linear->d_in) * linear->d_out &&
                                                 (!linear->have_bias || linear->b.size() == size_t(linear->d_out)))),
                    "a transform");
    if (const auto *centering = dynamic_cast<const faiss::CenteringTransform *>(transform))
      return expect(!centering->is_trained || centering->mean.size() == size_t(centering->d_in), "a transform");
    if (!dynamic_cast<const faiss::NormalizationTransform *>(transform))
      throw Unserved("an index behind a transform that cannot be undone");
  }

  // Throws `Unserved` if the type is not served, `std::runtime_error` if a part is damaged.
  inline void check(const faiss::Index *index)
  {
    if (!index)
      throw std::runtime_error("a part is missing");
    const auto d = static_cast<size_t>(index->d);
    const auto n = static_cast<size_t>(index->ntotal);
    expect(index->d > 0 && index->ntotal >= 0, "the header");
    if (index->metric_type != faiss::METRIC_INNER_PRODUCT && index->metric_type != faiss::METRIC_L2)
      throw Unserved("an index of another metric than inner product and L2");
    if (const auto *flat = dynamic_cast<const faiss::IndexFlat *>(index))
      return expect(flat->code_size == sizeof(float) * d && flat->codes.size() == n * flat->code_size,
                    "the list of vectors");
    const auto *mapped_codes = exactly<mapped::Codes>(index); // of which there are enough: see files.h
    if (const auto *scalar = mapped_codes ? mapped_codes : exactly<faiss::IndexScalarQuantizer>(index))
    {
      check_quantizer(scalar->sq, d, scalar->is_trained);
      return expect(scalar->code_size == scalar->sq.code_size &&
                        (mapped_codes || scalar->codes.size() == n * scalar->code_size),
                    "the list of codes");
    }
    if (const auto *product = exactly<faiss::IndexPQ>(index))
    {
      check_quantizer(product->pq, d);
      return expect(product->code_size == product->pq.code_size && product->codes.size() == n * product->code_size &&
                        product->search_type == faiss::IndexPQ::ST_PQ,
                    "the list of codes");
    }
    if (exactly<faiss::IndexHNSWFlat>(index) || exactly<faiss::IndexHNSWSQ>(index) ||
        exactly<faiss::IndexHNSWPQ>(index))
      return check_graph(*static_cast<const faiss::IndexHNSW *>(index));
    if (const auto *ivf = exactly<faiss::IndexIVFFlat>(index))
    {
      expect(ivf->code_size == sizeof(float) * d, "the inverted file");
      return check_lists(*ivf);
    }
    if (const auto *ivf = exactly<faiss::IndexIVFScalarQuantizer>(index))
    {
      check_quantizer(ivf->sq, d, ivf->is_trained);
      expect(ivf->code_size == ivf->sq.code_size, "the inverted file");
      return check_lists(*ivf);
    }
    if (const auto *ivf = exactly<faiss::IndexIVFPQ>(index))
    {
      check_quantizer(ivf->pq, d);
      expect(ivf->code_size == ivf->pq.code_size, "the inverted file");
      return check_lists(*ivf);
    }
    if (const auto *wrapped = dynamic_cast<const faiss::IndexPreTransform *>(index))
    {
      check(wrapped->index);
      int dimension = wrapped->d;
      for (const auto *transform : wrapped->chain)
      {
        expect(transform && transform->d_in == dimension, "the chain of transforms");
        check_transform(transform);
        dimension = transform->d_out;
      }
      return expect(wrapped->index->d == dimension && wrapped->index->ntotal == wrapped->ntotal,
                    "the chain of transforms");
    }
    if (const auto *refined = dynamic_cast<const faiss::IndexRefine *>(index))
    {
      check(refined->base_index);
      check(refined->refine_index);
      return expect(refined->base_index->d == refined->d && refined->refine_index->d == refined->d &&
                        refined->base_index->ntotal == refined->ntotal &&
                        refined->refine_index->ntotal == refined->ntotal && refined->k_factor >= 1 &&
                        refined->k_factor <= MOST_CANDIDATES,
                    "the refined index");
    }
    throw Unserved("a type of index that is not served here");
  }

  // Memory of the vectors, in bytes: not of those that stay in a mapped file.
  inline int64_t memory_of(const faiss::Index &index)
  {
    if (const auto *flat = dynamic_cast<const faiss::IndexFlatCodes *>(&index))
      return flat->codes.size();
    if (const auto *graph = dynamic_cast<const faiss::IndexHNSW *>(&index))
      return memory_of(*graph->storage) + graph->hnsw.neighbors.size() * sizeof(graph->hnsw.neighbors[0]);
    if (const auto *wrapped = dynamic_cast<const faiss::IndexPreTransform *>(&index))
      return memory_of(*wrapped->index);
    if (const auto *refined = dynamic_cast<const faiss::IndexRefine *>(&index))
      return memory_of(*refined->base_index) + memory_of(*refined->refine_index);
    const auto *ivf = dynamic_cast<const faiss::IndexIVF *>(&index);
    const bool is_mapped = ivf && dynamic_cast<const mapped::Lists *>(ivf->invlists);
    return ivf ? memory_of(*ivf->quantizer) + ivf->ntotal * (sizeof(idx_t) + (is_mapped ? 0 : ivf->code_size)) : 0;
  }

  // The part of an index that is searched first, behind transforms and without refinement.
  inline faiss::Index *base_of(faiss::Index *index)
  {
    if (auto *wrapped = dynamic_cast<faiss::IndexPreTransform *>(index))
      return base_of(wrapped->index);
    if (auto *refined = dynamic_cast<faiss::IndexRefine *>(index))
      return base_of(refined->base_index);
    return index;
  }

  // The inverted file in an index, or null.
  inline faiss::IndexIVF *inverted_file(faiss::Index *index) { return dynamic_cast<faiss::IndexIVF *>(base_of(index)); }

  // The part that chooses candidates and compares them with the vectors it has, or null.
  inline faiss::IndexRefine *refinement(faiss::Index *index) { return dynamic_cast<faiss::IndexRefine *>(index); }

  // The graph in an index, or null.
  inline faiss::IndexHNSW *graph(faiss::Index *index) { return dynamic_cast<faiss::IndexHNSW *>(base_of(index)); }

  // Numbers the entries of an inverted file from 0 in the order of its lists, unless they are already numbered from 0
  // to n - 1. Returns their previous ids in that order; none if they were plain rows.
  inline std::vector<idx_t> number_entries(faiss::IndexIVF &ivf)
  {
    auto *lists = dynamic_cast<mapped::Lists *>(ivf.invlists);
    auto &ids_of_lists = lists ? lists->ids : dynamic_cast<faiss::ArrayInvertedLists &>(*ivf.invlists).ids;
    std::vector<bool> seen(ivf.ntotal);
    bool plain = true;
    for (const auto &ids : ids_of_lists)
      for (const idx_t id : ids)
      {
        plain = plain && id >= 0 && id < ivf.ntotal && !seen[id];
        if (plain)
          seen[id] = true;
      }
    if (plain)
      return {};
    std::vector<idx_t> own;
    for (auto &ids : ids_of_lists)
      for (idx_t &id : ids)
      {
        own.push_back(id);
        id = static_cast<idx_t>(own.size()) - 1;
      }
    return own;
  }

  // Removes the ids from an index, whose vectors are then numbered from 0. Returns the ids by that number; none if the
  // vectors had no ids of their own.
  inline std::vector<idx_t> take_ids(std::unique_ptr<faiss::Index> &index)
  {
    std::vector<idx_t> ids;
    if (auto *named = dynamic_cast<faiss::IndexIDMap *>(index.get()))
    {
      expect(named->index && named->index->ntotal == named->ntotal &&
                 static_cast<idx_t>(named->id_map.size()) == named->ntotal,
             "the map of ids");
      ids = named->id_map;
      faiss::Index *inner = named->index;
      named->own_fields = false;
      index.reset(inner);
    }
    check(index.get());
    if (auto *ivf = inverted_file(index.get()))
    {
      const bool wrapped = ivf != index.get();
      const auto own = number_entries(*ivf);
      if (!own.empty() && (wrapped || !ids.empty()))
        throw Unserved("an inverted file inside another index, with ids of its own");
      if (!own.empty())
        ids = own;
    }
    return ids;
  }
}
