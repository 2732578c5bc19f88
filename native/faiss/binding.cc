// The FAISS binding behind lib/vectors/vector-index.ts: one class, `Index`, whose methods faiss-node.d.ts describes.
// It replaces faiss-node's own binary (infra/build-faiss.mjs).
//
// Long operations run in a separate thread, on a copy of their arguments. They hold the index, so that it lives until
// they end; meanwhile nothing may change it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <napi.h>
#include <faiss/IndexFlat.h>
#include <faiss/index_factory.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/IDSelector.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif
#include "arguments.h"
#include "files.h"
#include "in_thread.h"
#include "nearest.h"
#include "served.h"

namespace
{
  using nearest::idx_t;

  // While it exists, FAISS runs in this thread alone: one vector or a few leave little to parallelise, and on a busy
  // machine OpenMP's threads wait for each other, spinning, for longer than the work takes.
  class OneThread
  {
#ifdef _OPENMP
  public:
    OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
    OneThread(const OneThread &) = delete;
    ~OneThread() { omp_set_num_threads(before_); }

  private:
    int before_;
#endif
  };

  // Makes FAISS stop and throw once `wanted` is set.
  struct Interruption : faiss::InterruptCallback
  {
    static inline std::atomic<bool> wanted{false};
    bool want_interrupt() override { return wanted; }
  };

  // Training on fewer floats takes seconds at most (8,192 vectors of 512) and runs in one thread.
  constexpr size_t FLOATS_FOR_ONE_THREAD = 1 << 22;

  // Trains a PCA that comes first in an index for inner products. FAISS would subtract the mean, from queries and stored
  // vectors alike. That changes inner products by an amount that differs between stored vectors, and so their order.
  // (FAISS's own training leaves a trained PCA alone.)
  void train_projection(faiss::Index &index, const arguments::Vectors &vectors)
  {
    if (auto *refined = served::refinement(&index))
      return train_projection(*refined->base_index, vectors);
    auto *wrapped = dynamic_cast<faiss::IndexPreTransform *>(&index);
    auto *pca = wrapped && !wrapped->chain.empty() ? dynamic_cast<faiss::PCAMatrix *>(wrapped->chain[0]) : nullptr;
    if (!pca || pca->is_trained || index.metric_type != faiss::METRIC_INNER_PRODUCT)
      return;
    pca->train(vectors.count, vectors.data);
    pca->have_bias = false;
  }

  // Calls FAISS; whatever it throws (its own exceptions, lack of memory) becomes a JavaScript error. Code that throws
  // JavaScript errors itself runs before.
  template <class Work>
  auto guard(Napi::Env env, Work work)
  {
    try
    {
      return work();
    }
    catch (const std::exception &error)
    {
      throw Napi::Error::New(env, error.what());
    }
  }

  double length_of(const float *vector, size_t d)
  {
    double squares = 0;
    for (size_t j = 0; j < d; j++)
      squares += double(vector[j]) * vector[j];
    return std::sqrt(squares);
  }

  void expect_rows(const faiss::Index &index, const std::vector<uint32_t> &rows)
  {
    for (const uint32_t row : rows)
      if (row >= static_cast<uint64_t>(index.ntotal))
        throw std::out_of_range("Row " + std::to_string(row) + " is out of range.");
  }

  // A typed array with a copy of the elements.
  template <class Array, class Element>
  Array array_of(Napi::Env env, const std::vector<Element> &elements)
  {
    auto array = Array::New(env, elements.size());
    std::copy(elements.begin(), elements.end(), array.Data());
    return array;
  }

  // An index that was read or created, and the ids of its vectors. Throws what `served` does.
  struct Content
  {
    std::unique_ptr<faiss::Index> index;
    std::vector<idx_t> ids;
    explicit Content(std::unique_ptr<faiss::Index> from) : index(std::move(from)), ids(served::take_ids(index)) {}
  };

  class Index : public Napi::ObjectWrap<Index>
  {
  public:
    static Napi::Function define(Napi::Env env)
    {
      return DefineClass(env, "Index",
                         {
                             StaticMethod("open", &Index::open),
                             StaticMethod("fromFactory", &Index::from_factory),
                             StaticMethod("setCores", &Index::set_cores),
                             StaticMethod("interruptTraining", &Index::interrupt_training),
                             StaticMethod("trimMemory", &Index::trim_memory),
                             InstanceMethod("ntotal", &Index::ntotal),
                             InstanceMethod("getDimension", &Index::dimension),
                             InstanceMethod("isTrained", &Index::is_trained),
                             InstanceMethod("train", &Index::train),
                             InstanceMethod("add", &Index::add),
                             InstanceMethod("removeIds", &Index::remove_ids),
                             InstanceMethod("write", &Index::write),
                             InstanceMethod("nearest", &Index::nearest_to),
                             InstanceMethod("reconstruct", &Index::reconstruct),
                             InstanceMethod("lengths", &Index::lengths),
                             InstanceMethod("normalise", &Index::normalise),
                             InstanceMethod("ids", &Index::ids),
                             InstanceMethod("cells", &Index::cells),
                             InstanceMethod("probes", &Index::probes),
                             InstanceMethod("breadth", &Index::breadth),
                             InstanceMethod("candidates", &Index::candidates),
                             InstanceMethod("dispose", &Index::dispose),
                         });
    }

    // Called only by `make`: JavaScript cannot provide the content.
    explicit Index(const Napi::CallbackInfo &info) : ObjectWrap(info)
    {
      if (info.Length() != 1 || !info[0].IsExternal())
        throw Napi::TypeError::New(info.Env(), "Create an index with Index.open or Index.fromFactory.");
      auto *content = info[0].As<Napi::External<Content>>().Data();
      index_ = std::move(content->index);
      ids_ = std::move(content->ids);
      account(info.Env());
    }

    void Finalize(Napi::Env env) override
    {
      index_ = nullptr;
      account(env);
    }

  private:
    // Also held by running work. Null after `dispose`.
    std::shared_ptr<faiss::Index> index_;
    std::vector<idx_t> ids_;
    int64_t accounted_ = 0;

    static Napi::Value make(Napi::Env env, Content &content)
    {
      return env.GetInstanceData<Napi::FunctionReference>()->New({Napi::External<Content>::New(env, &content)});
    }

    faiss::Index &index(const Napi::CallbackInfo &info) const
    {
      if (!index_)
        throw Napi::Error::New(info.Env(), "The index is empty: it was disposed of.");
      return *index_;
    }

    // The index for a change, which is refused during a search: the search would not survive it.
    faiss::Index &changeable(const Napi::CallbackInfo &info) const
    {
      if (index_.use_count() > 1)
        throw Napi::Error::New(info.Env(), "The index cannot be changed during a search.");
      return index(info);
    }

    // Reports to the garbage collector what this small object keeps alive. (If it exceeds half of the heap's limit, a
    // whole collection follows at once, which stalls a server.)
    void account(Napi::Env env)
    {
      const int64_t bytes = index_ ? served::memory_of(*index_) : 0;
      Napi::MemoryManagement::AdjustExternalMemory(env, bytes - accounted_);
      accounted_ = bytes;
    }

    // An inverted file finds its vectors through a map of its rows. Searches do not use it, so it may be built while
    // they run. An index that was read has it already.
    void map_rows(const Napi::CallbackInfo &info) const
    {
      auto *ivf = served::inverted_file(&index(info));
      if (ivf)
        guard(info.Env(), [&] { ivf->make_direct_map(true); });
    }

    // The index for a change to its vectors.
    faiss::Index &writable(const Napi::CallbackInfo &info) const
    {
      auto &index = changeable(info);
      guard(info.Env(), [&] { mapped::read_into_memory(index); });
      return index;
    }

    static Napi::Value open(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 2);
      const size_t map_from = info.Length() == 2 ? arguments::number(info[1]) : std::numeric_limits<size_t>::max();
      return in_thread::run<Content>(
          info.Env(),
          [path = arguments::text(info[0]), map_from] {
            Content content(files::read(path, map_from));
            if (auto *ivf = served::inverted_file(content.index.get()))
            {
              ivf->make_direct_map(false); // one in the file might be damaged
              ivf->make_direct_map(true);
            }
            return content;
          },
          make);
    }

    static Napi::Value from_factory(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 2, 3);
      const uint32_t d = arguments::number(info[0]);
      const std::string type = arguments::text(info[1]);
      const auto metric =
          info.Length() == 3 ? static_cast<faiss::MetricType>(arguments::number(info[2])) : faiss::METRIC_L2;
      Content content = guard(info.Env(), [&] {
        return Content(std::unique_ptr<faiss::Index>(faiss::index_factory(d, type.c_str(), metric)));
      });
      return make(info.Env(), content);
    }

    static Napi::Value set_cores(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      nearest::cores = arguments::number(info[0]);
      return info.Env().Undefined();
    }

    // glibc keeps what loading a model leaves behind, in an arena per thread.
    static Napi::Value trim_memory(const Napi::CallbackInfo &info)
    {
      return in_thread::run<bool>(
          info.Env(),
          [] {
#ifdef __GLIBC__
            return malloc_trim(0) == 1;
#else
            return false;
#endif
          },
          [](Napi::Env env, bool &trimmed) { return Napi::Boolean::New(env, trimmed); });
    }

    Napi::Value ntotal(const Napi::CallbackInfo &info) { return Napi::Number::New(info.Env(), index(info).ntotal); }

    Napi::Value dimension(const Napi::CallbackInfo &info) { return Napi::Number::New(info.Env(), index(info).d); }

    Napi::Value is_trained(const Napi::CallbackInfo &info)
    {
      return Napi::Boolean::New(info.Env(), index(info).is_trained);
    }

    Napi::Value train(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      changeable(info);
      const arguments::Vectors vectors(info[0], index_->d);
      Interruption::wanted = false;
      if (!faiss::InterruptCallback::instance)
        faiss::InterruptCallback::instance = std::make_unique<Interruption>();
      // Released in the JavaScript thread, with the answer.
      const auto array = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[0].As<Napi::Object>()));
      return in_thread::run<bool>(
          info.Env(),
          [index = index_, vectors] {
            std::optional<OneThread> alone;
            if (vectors.length < FLOATS_FOR_ONE_THREAD)
              alone.emplace();
            train_projection(*index, vectors);
            index->train(vectors.count, vectors.data);
            return true;
          },
          [array](Napi::Env env, bool &) { return env.Undefined(); });
    }

    static Napi::Value interrupt_training(const Napi::CallbackInfo &info)
    {
      Interruption::wanted = true;
      return info.Env().Undefined();
    }

    Napi::Value add(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      auto &index = writable(info);
      const arguments::Vectors vectors(info[0], index.d);
      guard(info.Env(), [&] {
        std::optional<OneThread> alone;
        if (vectors.count == 1)
          alone.emplace();
        index.add(vectors.count, vectors.data);
      });
      account(info.Env());
      return info.Env().Undefined();
    }

    Napi::Value remove_ids(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      auto &index = writable(info);
      const auto ids = arguments::ids(info[0]);
      const size_t removed =
          guard(info.Env(), [&] { return index.remove_ids(faiss::IDSelectorBatch(ids.size(), ids.data())); });
      account(info.Env());
      return Napi::Number::New(info.Env(), removed);
    }

    Napi::Value write(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      auto &index = writable(info);
      const std::string path = arguments::text(info[0]);
      guard(info.Env(), [&] {
        if (auto *ivf = served::inverted_file(&index))
          ivf->make_direct_map(false); // it would be written too
        files::write(index, path);
      });
      return info.Env().Undefined();
    }

    // The result has one row per query, each as wide as the longest.
    Napi::Value nearest_to(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 2, 3);
      const arguments::Vectors queries(info[0], index(info).d);
      const size_t k = arguments::number(info[1]);
      const bool among = info.Length() == 3 && !info[2].IsUndefined();
      const bool as_bits = among && info[2].IsTypedArray() &&
                          info[2].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
      return in_thread::run<std::vector<nearest::Found>>(
          info.Env(),
          [index = index_, copy = std::vector<float>(queries.data, queries.data + queries.length),
           count = queries.count, k, among, given = among && !as_bits ? arguments::rows(info[2]) : std::vector<uint32_t>(),
           bits = as_bits ? arguments::bits(info[2], index_->ntotal) : std::vector<uint64_t>()] {
            const OneThread alone;
            const nearest::UnderWay under_way;
            expect_rows(*index, given);
            const auto selected = nearest::rows_of(bits);
            const auto &rows = bits.empty() ? given : selected;
            return nearest::search(*index, copy.data(), count, k, {among, rows.data(), rows.size()});
          },
          [](Napi::Env env, std::vector<nearest::Found> &found) {
            size_t width = 0;
            for (const auto &one : found)
              width = std::max(width, one.rows.size());
            auto distances = Napi::Float32Array::New(env, found.size() * width);
            auto labels = Napi::Int32Array::New(env, found.size() * width);
            std::fill_n(labels.Data(), labels.ElementLength(), -1);
            for (size_t i = 0; i < found.size(); i++)
            {
              std::copy(found[i].distances.begin(), found[i].distances.end(), distances.Data() + i * width);
              std::copy(found[i].rows.begin(), found[i].rows.end(), labels.Data() + i * width);
            }
            auto answer = Napi::Object::New(env);
            answer.Set("distances", distances);
            answer.Set("labels", labels);
            return answer;
          });
    }

    Napi::Value reconstruct(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      const auto &index = this->index(info);
      const int64_t row = info[0].ToNumber();
      if (row < 0 || row >= index.ntotal)
        throw Napi::RangeError::New(info.Env(), "Expected a row of 0 to " + std::to_string(index.ntotal - 1) + ".");
      auto vector = Napi::Float32Array::New(info.Env(), index.d);
      map_rows(info);
      guard(info.Env(), [&] { index.reconstruct(row, vector.Data()); });
      return vector;
    }

    Napi::Value lengths(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 1, 1);
      map_rows(info);
      return in_thread::run<std::vector<double>>(
          info.Env(),
          [index = index_, rows = arguments::rows(info[0])] {
            const OneThread alone;
            expect_rows(*index, rows);
            std::vector<float> vector(index->d);
            std::vector<double> lengths;
            lengths.reserve(rows.size());
            for (const uint32_t row : rows)
            {
              index->reconstruct(row, vector.data());
              lengths.push_back(length_of(vector.data(), vector.size()));
            }
            return lengths;
          },
          [](Napi::Env env, std::vector<double> &lengths) { return array_of<Napi::Float64Array>(env, lengths); });
    }

    // Vectors without a length (zeros, NaN) stay as they are.
    Napi::Value normalise(const Napi::CallbackInfo &info)
    {
      changeable(info);
      return in_thread::run<bool>(
          info.Env(),
          [index = index_] {
            auto *flat = dynamic_cast<faiss::IndexFlat *>(index.get());
            for (idx_t i = 0; flat && i < flat->ntotal; i++)
            {
              float *row = flat->get_xb() + i * flat->d;
              const double length = length_of(row, flat->d);
              if (std::isfinite(length) && length > 0)
                for (int j = 0; j < flat->d; j++)
                  row[j] = static_cast<float>(row[j] / length);
            }
            return flat != nullptr;
          },
          [](Napi::Env env, bool &stored) { return Napi::Boolean::New(env, stored); });
    }

    Napi::Value ids(const Napi::CallbackInfo &info)
    {
      if (ids_.empty())
        return info.Env().Undefined();
      return array_of<Napi::Float64Array>(info.Env(), ids_);
    }

    Napi::Value cells(const Napi::CallbackInfo &info)
    {
      const auto *ivf = served::inverted_file(&index(info));
      return Napi::Number::New(info.Env(), ivf ? ivf->nlist : 0);
    }

    Napi::Value probes(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 0, 1);
      const bool sets = info.Length() == 1;
      auto *ivf = served::inverted_file(sets ? &changeable(info) : &index(info));
      if (ivf && sets)
        ivf->nprobe = std::clamp<size_t>(arguments::number(info[0]), 1, ivf->nlist);
      return Napi::Number::New(info.Env(), ivf ? ivf->nprobe : 0);
    }

    Napi::Value breadth(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 0, 1);
      const bool sets = info.Length() == 1;
      auto *graph = served::graph(sets ? &changeable(info) : &index(info));
      if (graph && sets)
        graph->hnsw.efSearch = std::clamp<uint32_t>(arguments::number(info[0]), 1, 1 << 20);
      return Napi::Number::New(info.Env(), graph ? graph->hnsw.efSearch : 0);
    }

    Napi::Value candidates(const Napi::CallbackInfo &info)
    {
      arguments::expect_count(info, 0, 1);
      const bool sets = info.Length() == 1;
      auto *refined = served::refinement(sets ? &changeable(info) : &index(info));
      if (refined && sets)
        refined->k_factor = std::clamp<uint32_t>(arguments::number(info[0]), 1, 1 << 10);
      return Napi::Number::New(info.Env(), refined ? refined->k_factor : 0);
    }

    // Freeing the vectors takes a while (50 MB: 4 ms), so it is done in a thread.
    Napi::Value dispose(const Napi::CallbackInfo &info)
    {
      if (index_)
        in_thread::run<bool>(
            info.Env(), [held = std::move(index_)] { return true; },
            [](Napi::Env env, bool &) { return env.Undefined(); });
      account(info.Env());
      return info.Env().Undefined();
    }
  };

  // Called once per environment (main thread, worker thread), which keeps the constructor of its own class.
  Napi::Object init(Napi::Env env, Napi::Object exports)
  {
    const Napi::Function type = Index::define(env);
    env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(type)));
    exports.Set("Index", type);
    return exports;
  }
}

NODE_API_MODULE(faiss_node, init)
