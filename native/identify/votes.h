// The features of all covers, in lists of similar codes, and the covers that a photo's features vote for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <future>
#include <vector>
#include "features.h"

namespace identify
{
  struct Size
  {
    uint16_t width, height;
    uint32_t features;
  };
  static_assert(sizeof(Size) == 8);

  // The parts of a feature file, in mapped memory (described in lib/identify/feature-file.ts).
  struct Catalog
  {
    uint32_t covers = 0, lists = 0;
    uint64_t features = 0;
    const Size *sizes = nullptr;       // of covers
    const uint64_t *starts = nullptr;  // of lists, and one more for the end of the last
    const Code *centres = nullptr;     // of lists
    const Code *codes = nullptr;       // of features, list by list
    const uint32_t *rows = nullptr;    // the cover of each
    const Place *places = nullptr;     // and where on the cover it lies
  };

  inline int hamming(const Code &a, const Code &b)
  {
    int distance = 0;
    for (size_t i = 0; i < a.size(); i++)
      distance += __builtin_popcountll(a[i] ^ b[i]);
    return distance;
  }

  struct Near
  {
    int distance;
    uint64_t at;
    bool operator<(const Near &other) const { return distance != other.distance ? distance < other.distance : at < other.at; }
  };

  // The nearest of the codes offered, at most `most`: a heap whose top is the worst.
  class Nearest
  {
  public:
    explicit Nearest(size_t most) : most_(most) { found_.reserve(most); }
    int worst() const { return found_.size() < most_ ? BITS + 1 : found_.front().distance; }
    void offer(int distance, uint64_t at)
    {
      if (found_.size() == most_)
      {
        std::pop_heap(found_.begin(), found_.end());
        found_.pop_back();
      }
      found_.push_back({distance, at});
      std::push_heap(found_.begin(), found_.end());
    }
    const std::vector<Near> &sorted()
    {
      std::sort(found_.begin(), found_.end());
      return found_;
    }
    void clear() { found_.clear(); }

  private:
    size_t most_;
    std::vector<Near> found_;
  };

  FOR_EACH_CPU inline void scan(const Code &query, const Code *codes, uint64_t from, uint64_t to, Nearest &nearest)
  {
    int worst = nearest.worst();
    for (uint64_t i = from; i < to; i++)
    {
      const int distance = hamming(query, codes[i]);
      if (distance < worst)
      {
        nearest.offer(distance, i);
        worst = nearest.worst();
      }
    }
  }

  // The list that each code belongs to.
  FOR_EACH_CPU inline void assign(const Code *codes, size_t n, const Code *centres, uint32_t lists, uint32_t *out)
  {
    for (size_t i = 0; i < n; i++)
    {
      int best = BITS + 1;
      for (uint32_t l = 0; l < lists; l++)
      {
        const int distance = hamming(codes[i], centres[l]);
        if (distance < best)
        {
          best = distance;
          out[i] = l;
        }
      }
    }
  }

  // Rounds of k-means: more gave no measurable gain.
  constexpr int ROUNDS = 4;

  // Trains the lists' centres: k-means in which each bit of a centre is that of most of its codes.
  inline std::vector<Code> train(const std::vector<Code> &sample, uint32_t lists)
  {
    std::vector<Code> centres(lists);
    for (uint32_t l = 0; l < lists; l++)
      centres[l] = sample[sample.size() * l / lists];
    std::vector<uint32_t> list_of(sample.size());
    for (int round = 0; round < ROUNDS; round++)
    {
      assign(sample.data(), sample.size(), centres.data(), lists, list_of.data());
      std::vector<int> balance(static_cast<size_t>(lists) * BITS, 0);
      std::vector<bool> used(lists, false);
      for (size_t i = 0; i < sample.size(); i++)
      {
        used[list_of[i]] = true;
        for (int bit = 0; bit < BITS; bit++)
          balance[static_cast<size_t>(list_of[i]) * BITS + bit] += (sample[i][bit / 64] >> (bit % 64) & 1) ? 1 : -1;
      }
      for (uint32_t l = 0; l < lists; l++)
        if (used[l])
        {
          centres[l] = {};
          for (int bit = 0; bit < BITS; bit++)
            centres[l][bit / 64] |= static_cast<uint64_t>(balance[static_cast<size_t>(l) * BITS + bit] > 0) << (bit % 64);
        }
    }
    return centres;
  }

  // A feature of the photo and a cover's feature that it may match.
  struct Pair
  {
    uint32_t row;
    uint32_t feature; // of the photo
    int distance;
    float weight;
    Place cover;
  };

  struct Votes
  {
    std::vector<Pair> pairs;                      // sorted by row
    std::vector<std::pair<float, uint32_t>> rows; // votes and cover, best first
  };

  // The photo's features in [from, to) vote for the covers of their nearest neighbours. The nearer a neighbour is
  // relative to the last one, the more its vote weighs: a feature similar to everything votes for nothing.
  inline std::vector<Pair> pairs_of(const Catalog &catalog, const Features &photo, size_t from, size_t to, uint32_t probes, uint32_t neighbours)
  {
    constexpr float LEAST_WEIGHT = 0.02f;
    std::vector<Pair> pairs;
    Nearest lists(std::min(probes, catalog.lists)), nearest(neighbours);
    std::vector<uint32_t> seen;
    for (size_t feature = from; feature < to; feature++)
    {
      const Code &code = photo.codes[feature];
      lists.clear();
      nearest.clear();
      scan(code, catalog.centres, 0, catalog.lists, lists);
      for (const Near &list : lists.sorted())
        scan(code, catalog.codes, catalog.starts[list.at], catalog.starts[list.at + 1], nearest);
      const auto &found = nearest.sorted();
      if (found.size() < 2)
        continue;
      const float last = static_cast<float>(found.back().distance);
      seen.clear();
      for (const Near &one : found)
      {
        const float nearness = last > 0 ? 1 - one.distance / last : 0;
        const float weight = nearness * nearness;
        const uint32_t row = catalog.rows[one.at];
        if (weight <= LEAST_WEIGHT || row >= catalog.covers || std::find(seen.begin(), seen.end(), row) != seen.end())
          continue;
        seen.push_back(row);
        pairs.push_back({row, static_cast<uint32_t>(feature), one.distance, weight, catalog.places[one.at]});
      }
    }
    return pairs;
  }

  // The first `voters` features of the photo vote, in two threads: this takes the most time of all, and the target
  // machines have two cores.
  inline Votes vote(const Catalog &catalog, const Features &photo, size_t voters, uint32_t probes, uint32_t neighbours)
  {
    const size_t all = std::min(voters, photo.codes.size());
    auto second = std::async(std::launch::async, [&] { return pairs_of(catalog, photo, all / 2, all, probes, neighbours); });
    Votes votes{pairs_of(catalog, photo, 0, all / 2, probes, neighbours), {}};
    const auto others = second.get();
    votes.pairs.insert(votes.pairs.end(), others.begin(), others.end());
    std::stable_sort(votes.pairs.begin(), votes.pairs.end(), [](const Pair &a, const Pair &b) { return a.row < b.row; });
    for (const Pair &pair : votes.pairs)
    {
      if (votes.rows.empty() || votes.rows.back().second != pair.row)
        votes.rows.push_back({0, pair.row});
      votes.rows.back().first += pair.weight;
    }
    std::sort(votes.rows.begin(), votes.rows.end(), [](const auto &a, const auto &b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
    return votes;
  }
}
