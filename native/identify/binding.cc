// The addon behind lib/identify/native.ts: features of a picture, and a mapped feature file that photos are identified
// in. Long operations run in libuv's pool, on copies of their arguments.
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <napi.h>
#include "confirmation.h"
#include "features.h"
#include "placement.h"
#include "votes.h"

namespace
{
  using namespace identify;

  // Longest edge whose places fit in 16 bits, and maximum features of a picture: these limit time and memory.
  constexpr int MOST_PIXELS = 2047;
  constexpr size_t MOST_FEATURES = 10000;

  // Work in the pool, whose result is then converted to a JavaScript value.
  template <class Result>
  class Work : public Napi::AsyncWorker
  {
  public:
    using Run = std::function<Result()>;
    using Give = std::function<Napi::Value(Napi::Env, Result &)>;

    static Napi::Value start(Napi::Env env, Run run, Give give)
    {
      auto *work = new Work(env, std::move(run), std::move(give)); // deletes itself when it is done
      const auto promise = work->deferred_.Promise();
      work->Queue();
      return promise;
    }

  private:
    Work(Napi::Env env, Run run, Give give) : AsyncWorker(env), run_(std::move(run)), give_(std::move(give)), deferred_(Napi::Promise::Deferred::New(env)) {}
    void Execute() override { result_ = run_(); }
    void OnOK() override { deferred_.Resolve(give_(Env(), result_)); }
    void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

    Run run_;
    Give give_;
    Napi::Promise::Deferred deferred_;
    Result result_;
  };

  // Copies a Uint8Array to elements of another type.
  template <class T>
  std::vector<T> copy(const Napi::Value &value, const char *name)
  {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
      throw Napi::TypeError::New(value.Env(), std::string("Expected a Uint8Array for ") + name + ".");
    const auto array = value.As<Napi::Uint8Array>();
    if (array.ByteLength() % sizeof(T) != 0)
      throw Napi::RangeError::New(value.Env(), std::string("Expected a multiple of ") + std::to_string(sizeof(T)) + " bytes for " + name + ".");
    std::vector<T> elements(array.ByteLength() / sizeof(T));
    if (!elements.empty())
      std::memcpy(elements.data(), array.Data(), array.ByteLength());
    return elements;
  }

  template <class T>
  Napi::Value bytes_of(Napi::Env env, const std::vector<T> &elements)
  {
    auto array = Napi::Uint8Array::New(env, elements.size() * sizeof(T));
    if (!elements.empty())
      std::memcpy(array.Data(), elements.data(), array.ByteLength());
    return array;
  }

  uint32_t number(const Napi::Value &value, uint32_t least, uint32_t most, const char *name)
  {
    const double given = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
    if (!(given >= least && given <= most && given == std::floor(given)))
      throw Napi::RangeError::New(value.Env(), std::string("Expected a whole number from ") + std::to_string(least) + " to " + std::to_string(most) + " for " + name + ".");
    return static_cast<uint32_t>(given);
  }

  Napi::Value features_value(Napi::Env env, const Features &features)
  {
    auto value = Napi::Object::New(env);
    value["codes"] = bytes_of(env, features.codes);
    value["places"] = bytes_of(env, features.places);
    return value;
  }

  // extract(grey, width, height, most) → { codes, places }
  Napi::Value extract_features(const Napi::CallbackInfo &info)
  {
    Grey grey{static_cast<int>(number(info[1], 1, MOST_PIXELS, "width")), static_cast<int>(number(info[2], 1, MOST_PIXELS, "height")), copy<uint8_t>(info[0], "grey")};
    const size_t most = number(info[3], 1, MOST_FEATURES, "most");
    if (grey.pixels.size() != static_cast<size_t>(grey.width) * grey.height)
      throw Napi::RangeError::New(info.Env(), "Expected one byte a pixel.");
    return Work<Features>::start(
        info.Env(), [grey = std::move(grey), most] { return extract(grey, most); }, features_value);
  }

  // train(codes, lists) → centres
  Napi::Value train_lists(const Napi::CallbackInfo &info)
  {
    auto sample = copy<Code>(info[0], "codes");
    const uint32_t lists = number(info[1], 1, 1 << 20, "lists");
    if (sample.size() < lists)
      throw Napi::RangeError::New(info.Env(), "Expected a code or more for each list.");
    return Work<std::vector<Code>>::start(
        info.Env(), [sample = std::move(sample), lists] { return train(sample, lists); }, bytes_of<Code>);
  }

  // assign(codes, centres) → the list of each, as 32-bit numbers
  Napi::Value assign_lists(const Napi::CallbackInfo &info)
  {
    auto codes = copy<Code>(info[0], "codes"), centres = copy<Code>(info[1], "centres");
    return Work<std::vector<uint32_t>>::start(
        info.Env(),
        [codes = std::move(codes), centres = std::move(centres)] {
          std::vector<uint32_t> lists(codes.size());
          assign(codes.data(), codes.size(), centres.data(), static_cast<uint32_t>(centres.size()), lists.data());
          return lists;
        },
        bytes_of<uint32_t>);
  }

  // A memory-mapped file, read on demand. Files of a set are never changed, only replaced by renaming.
  class Mapping
  {
  public:
    explicit Mapping(const std::string &path)
    {
      const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      struct stat about = {};
      if (file < 0 || fstat(file, &about) != 0 || about.st_size == 0)
      {
        if (file >= 0)
          close(file);
        throw std::runtime_error("it could not be opened");
      }
      bytes = static_cast<size_t>(about.st_size);
      void *mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
      close(file);
      if (mapped == MAP_FAILED)
        throw std::runtime_error("it could not be mapped");
      data = static_cast<const uint8_t *>(mapped);
    }
    Mapping(const Mapping &) = delete;
    ~Mapping() { munmap(const_cast<uint8_t *>(data), bytes); }

    const uint8_t *data = nullptr;
    size_t bytes = 0;
  };

  // A feature file whose parts are where they should be, with no offset that leads out of it. Other damage gives wrong
  // covers or none.
  struct File
  {
    Mapping mapping;
    Catalog catalog;

    // `at`: offsets of sizes, starts, centres, codes, rows and places, in bytes
    File(const std::string &path, uint32_t covers, uint32_t lists, uint64_t features, const double at[6]) : mapping(path)
    {
      catalog.covers = covers;
      catalog.lists = lists;
      catalog.features = features;
      catalog.sizes = part<Size>(at[0], covers);
      catalog.starts = part<uint64_t>(at[1], lists + uint64_t(1));
      catalog.centres = part<Code>(at[2], lists);
      catalog.codes = part<Code>(at[3], features);
      catalog.rows = part<uint32_t>(at[4], features);
      catalog.places = part<Place>(at[5], features);
      if (catalog.starts[0] != 0 || catalog.starts[lists] != features || !std::is_sorted(catalog.starts, catalog.starts + lists + 1))
        throw std::runtime_error("its lists are damaged");
      uint64_t sum = 0;
      for (uint32_t row = 0; row < covers; row++)
        sum += catalog.sizes[row].features;
      if (sum != features)
        throw std::runtime_error("the numbers of its features are damaged");
    }

    template <class T>
    const T *part(double at, uint64_t count) const
    {
      if (!(at >= 0 && at <= static_cast<double>(mapping.bytes)) || count > (mapping.bytes - static_cast<uint64_t>(at)) / sizeof(T) || static_cast<uint64_t>(at) % alignof(T) != 0)
        throw std::runtime_error("it ends too early");
      return reinterpret_cast<const T *>(mapping.data + static_cast<uint64_t>(at));
    }
  };

  struct Search
  {
    uint32_t voters, probes, neighbours, candidates;
  };

  // Minimum pairs that agree on a cover's placement before its other features are looked up.
  constexpr int LEAST_POINTS = 4;

  struct Found
  {
    uint32_t row;
    Placement placement;
    Confirmation confirmation;
  };

  // Possible placements in the photo of the covers with the most votes, and of `besides`.
  std::vector<Found> place_candidates(const Catalog &catalog, const Features &photo, double frame, const Search &search, const std::vector<uint32_t> &besides)
  {
    const Votes votes = vote(catalog, photo, search.voters, search.probes, search.neighbours);
    std::vector<uint32_t> rows;
    for (size_t i = 0; i < std::min<size_t>(search.candidates, votes.rows.size()); i++)
      rows.push_back(votes.rows[i].second);
    for (const uint32_t row : besides)
      if (std::find(rows.begin(), rows.end(), row) == rows.end())
        rows.push_back(row);
    std::vector<Found> found;
    for (const uint32_t row : rows)
    {
      auto pairs = std::equal_range(votes.pairs.begin(), votes.pairs.end(), Pair{row, 0, 0, {}, {}}, [](const Pair &a, const Pair &b) { return a.row < b.row; });
      if (pairs.second - pairs.first < LEAST_POINTS)
        continue;
      std::vector<Match> matches;
      for (auto pair = pairs.first; pair != pairs.second; ++pair)
        matches.push_back({Oriented(pair->cover), Oriented(photo.places[pair->feature]), pair->weight});
      std::stable_sort(matches.begin(), matches.end(), [](const Match &a, const Match &b) { return a.weight > b.weight; });
      const Size &size = catalog.sizes[row];
      const Placement placement = place(matches, size.width, size.height, frame);
      if (placement.points >= LEAST_POINTS)
        found.push_back({row, placement, {}});
    }
    return found;
  }

  // All features of the covers found, in their order.
  std::vector<Described> features_of(const Catalog &catalog, const std::vector<Found> &found)
  {
    std::vector<Described> features(found.size());
    std::vector<uint32_t> number(catalog.covers, UINT32_MAX); // index of each row in `found`
    for (uint32_t i = 0; i < found.size(); i++)
      number[found[i].row] = i;
    for (uint64_t i = 0; i < catalog.features; i++)
      if (const uint32_t row = catalog.rows[i]; row < catalog.covers && number[row] != UINT32_MAX)
        features[number[row]].add(catalog.codes[i], catalog.places[i]);
    return features;
  }

  // Covers that may be in the photo, each with its evidence.
  std::vector<Found> find(const Catalog &catalog, const Features &features, double width, double height, const Search &search, const std::vector<uint32_t> &besides)
  {
    auto found = place_candidates(catalog, features, width * height, search, besides);
    if (found.empty())
      return found;
    const auto covers = features_of(catalog, found);
    const Photo photo(features, width, height);
    for (size_t i = 0; i < found.size(); i++)
    {
      const Size &size = catalog.sizes[found[i].row];
      found[i].confirmation = confirm(found[i].placement, covers[i], photo, size.width, size.height);
    }
    return found;
  }

  // new FeatureFile(path, { covers, lists, features }, at): see `File`
  class FeatureFile : public Napi::ObjectWrap<FeatureFile>
  {
  public:
    static Napi::Function define(Napi::Env env)
    {
      return DefineClass(env, "FeatureFile", {InstanceMethod<&FeatureFile::identify>("identify"), InstanceMethod<&FeatureFile::covers>("covers"), InstanceMethod<&FeatureFile::close>("close")});
    }

    explicit FeatureFile(const Napi::CallbackInfo &info) : ObjectWrap(info)
    {
      const auto path = info[0].As<Napi::String>().Utf8Value();
      const auto counts = info[1].As<Napi::Object>();
      const auto parts = info[2].As<Napi::Array>();
      double at[6];
      for (uint32_t i = 0; i < 6; i++)
        at[i] = parts.Get(i).ToNumber();
      try
      {
        file_ = std::make_shared<const File>(path, number(counts.Get("covers"), 0, UINT32_MAX, "covers"), number(counts.Get("lists"), 1, 1 << 20, "lists"),
                                             number(counts.Get("features"), 0, UINT32_MAX, "features"), at);
      }
      catch (const std::runtime_error &error)
      {
        throw Napi::Error::New(info.Env(), error.what());
      }
    }

  private:
    std::shared_ptr<const File> file_;

    std::shared_ptr<const File> opened(Napi::Env env) const
    {
      if (!file_)
        throw Napi::Error::New(env, "The feature file has been closed.");
      return file_;
    }

    // identify({ codes, places }, width, height, { voters, probes, neighbours, candidates }, rows) → [{ row, points, cells, visible, outline, spots }]
    Napi::Value identify(const Napi::CallbackInfo &info)
    {
      const auto given = info[0].As<Napi::Object>();
      Features photo{copy<Code>(given.Get("codes"), "codes"), copy<Place>(given.Get("places"), "places")};
      if (photo.codes.size() != photo.places.size() || photo.codes.size() > MOST_FEATURES)
        throw Napi::RangeError::New(info.Env(), "Expected as many places as codes, and not too many.");
      const double width = number(info[1], 1, MOST_PIXELS, "width"), height = number(info[2], 1, MOST_PIXELS, "height");
      const auto options = info[3].As<Napi::Object>();
      const Search search{number(options.Get("voters"), 1, MOST_FEATURES, "voters"), number(options.Get("probes"), 1, 4096, "probes"), number(options.Get("neighbours"), 2, 1000, "neighbours"),
                          number(options.Get("candidates"), 0, 10000, "candidates")};
      auto besides = copy<uint32_t>(info[4], "rows");
      return Work<std::vector<Found>>::start(
          info.Env(),
          [file = opened(info.Env()), photo = std::move(photo), width, height, search, besides = std::move(besides)] { return find(file->catalog, photo, width, height, search, besides); },
          [](Napi::Env env, std::vector<Found> &found) {
            auto list = Napi::Array::New(env, found.size());
            for (uint32_t i = 0; i < found.size(); i++)
            {
              auto one = Napi::Object::New(env);
              auto outline = Napi::Array::New(env, 4);
              for (uint32_t c = 0; c < 4; c++)
              {
                auto corner = Napi::Array::New(env, 2);
                corner[0u] = found[i].confirmation.outline[c].x;
                corner[1u] = found[i].confirmation.outline[c].y;
                outline[c] = corner;
              }
              one["row"] = found[i].row;
              one["points"] = found[i].confirmation.points;
              one["cells"] = found[i].confirmation.cells;
              one["visible"] = found[i].confirmation.visible;
              one["outline"] = outline;
              const auto &spots = found[i].confirmation.spots;
              auto numbers = Napi::Float32Array::New(env, spots.size());
              std::copy(spots.begin(), spots.end(), numbers.Data());
              one["spots"] = numbers;
              list[i] = one;
            }
            return list;
          });
    }

    // covers(from, to) → { codes, places, lists } of the features of these rows, row by row
    Napi::Value covers(const Napi::CallbackInfo &info)
    {
      struct Part
      {
        Features features;
        std::vector<uint32_t> lists;
      };
      const auto file = opened(info.Env());
      const uint32_t from = number(info[0], 0, file->catalog.covers, "from"), to = number(info[1], from, file->catalog.covers, "to");
      return Work<Part>::start(
          info.Env(),
          [file, from, to] {
            const Catalog &catalog = file->catalog;
            std::vector<uint64_t> next(to - from + size_t(1), 0); // where the next feature of each row goes
            for (uint32_t row = from; row < to; row++)
              next[row - from + 1] = next[row - from] + catalog.sizes[row].features;
            const std::vector<uint64_t> ends(next.begin() + 1, next.end());
            Part part{{std::vector<Code>(next.back()), std::vector<Place>(next.back())}, std::vector<uint32_t>(next.back())};
            for (uint32_t list = 0; list < catalog.lists; list++)
              for (uint64_t i = catalog.starts[list]; i < catalog.starts[list + 1]; i++)
              {
                const uint32_t row = catalog.rows[i];
                if (row < from || row >= to)
                  continue;
                const uint64_t at = next[row - from]++;
                if (at >= ends[row - from])
                  throw std::runtime_error("the rows of its features are damaged");
                part.features.codes[at] = catalog.codes[i];
                part.features.places[at] = catalog.places[i];
                part.lists[at] = list;
              }
            if (!std::equal(ends.begin(), ends.end(), next.begin()))
              throw std::runtime_error("the rows of its features are damaged");
            return part;
          },
          [](Napi::Env env, Part &part) {
            auto value = features_value(env, part.features).As<Napi::Object>();
            value["lists"] = bytes_of(env, part.lists);
            return value;
          });
    }

    // Unmaps the file once running identifications are done.
    void close(const Napi::CallbackInfo &) { file_.reset(); }
  };

  Napi::Object init(Napi::Env env, Napi::Object exports)
  {
    exports["extract"] = Napi::Function::New(env, extract_features);
    exports["train"] = Napi::Function::New(env, train_lists);
    exports["assign"] = Napi::Function::New(env, assign_lists);
    exports["FeatureFile"] = FeatureFile::define(env);
    return exports;
  }
}

NODE_API_MODULE(identify, init)
