// Index files: bounded reads, of which large lists of codes are mapped; durable writes.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>
#include <unistd.h>
#include <faiss/Index.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/invlists/InvertedListsIOHook.h>
#include "bounded_memory.h"
#include "mapped.h"
#include "served.h"

namespace files
{
  // Has FAISS ask a hook named ilmp for inverted lists.
  constexpr int flags = faiss::IO_FLAG_SKIP_IVF_DATA | 'm' << 16 | 'p' << 24;

  // Reads a file, and refuses a length that exceeds the file before FAISS allocates it.
  class BoundedReader : public faiss::IOReader
  {
  public:
    // @param map_from the least number of bytes of codes that are mapped
    BoundedReader(const char *path, size_t map_from) : map_from_(map_from), file_(path)
    {
      is_pipe_ = std::fseek(file_.f, 0, SEEK_END) != 0;
      bytes_ = std::ftell(file_.f);
      std::rewind(file_.f);
    }

    // Upper bound in bytes on the memory of the file's largest part: little more than in the file, except for small
    // tables that are computed from it.
    size_t most() const { return 2 * bytes_ + (1 << 26); }

    size_t operator()(void *to, size_t size, size_t items) override
    {
      const size_t got = file_(to, size, items);
      if (size == 4 && items == 1 && got == 1 && std::memcmp(to, "ilod", 4) == 0)
        throw served::Unserved("an inverted file whose lists are not in it (on-disk lists)");
      uint64_t length;
      if (size == sizeof(length) && items == 1 && got == 1)
      {
        // Lengths of vectors are read this way, and other counts, none of which exceeds the file; also two fields that
        // always hold 1 << 20.
        std::memcpy(&length, to, sizeof(length));
        if (length > bytes_ && length != 1 << 20)
          throw std::runtime_error("a length is beyond the file");
      }
      return got;
    }

    // Reads the codes and ids of inverted lists.
    std::unique_ptr<faiss::InvertedLists> lists(size_t code_size, const std::vector<size_t> &sizes)
    {
      const size_t from = std::ftell(file_.f);
      size_t left = bytes_ - from;
      for (const size_t size : sizes)
      {
        if (code_size == 0 || size > left / (code_size + sizeof(idx_t)))
          throw std::runtime_error("a list is beyond the file");
        left -= size * (code_size + sizeof(idx_t));
      }
      if (bytes_ - from - left >= map_from_)
        return mapped_lists(code_size, sizes, from);
      auto lists = std::make_unique<faiss::ArrayInvertedLists>(sizes.size(), code_size);
      for (size_t i = 0; i < sizes.size(); i++)
      {
        lists->resize(i, sizes[i]);
        read(lists->codes[i].data(), lists->codes[i].size());
        read(lists->ids[i].data(), sizes[i] * sizeof(idx_t));
      }
      return lists;
    }

    // Reads an index, of which nothing is validated yet. Codes are mapped if the index is a scalar quantizer, or refined
    // by one.
    std::unique_ptr<faiss::Index> index()
    {
      const std::string type = is_pipe_ ? "" : next_type();
      if (type == "IxRF")
        return refined();
      if (type == "IxSQ")
        if (auto codes = mapped_codes())
          return codes;
      return std::unique_ptr<faiss::Index>(faiss::read_index(this, flags));
    }

  private:
    using idx_t = served::idx_t;
    // As FAISS writes them: type 4, dimension 4, vectors 8, two unused numbers of 8, trained 1, metric 4.
    static constexpr size_t header_bytes = 37;
    // Type, kind of range, its argument, dimension and size of a code.
    static constexpr size_t quantizer_bytes = 4 + 4 + 4 + 8 + 8;
    size_t map_from_;
    faiss::FileIOReader file_;
    bool is_pipe_;
    uint64_t bytes_;

    std::string next_type()
    {
      const size_t at = std::ftell(file_.f);
      std::string type(4, 0);
      read(type.data(), type.size());
      move_to(at);
      return type;
    }

    // The first index, the one that refines, and the number of candidates for each result.
    std::unique_ptr<faiss::Index> refined()
    {
      int32_t d;
      int64_t vectors;
      move_to(std::ftell(file_.f) + 4);
      read(&d, sizeof(d));
      read(&vectors, sizeof(vectors));
      move_to(std::ftell(file_.f) + header_bytes - 4 - sizeof(d) - sizeof(vectors));
      auto first = index();
      auto second = index();
      served::expect(first->d == d && first->ntotal == vectors, "the refined index");
      auto refined = std::make_unique<faiss::IndexRefine>(first.get(), second.get());
      refined->own_fields = refined->own_refine_index = true;
      first.release();
      second.release();
      read(&refined->k_factor, sizeof(refined->k_factor));
      return refined;
    }

    // A scalar quantizer whose codes are mapped; null, with nothing read, if they are too few, or FAISS itself has to
    // search them. It reads all that precedes them, followed by no codes.
    std::unique_ptr<faiss::Index> mapped_codes()
    {
      const size_t start = std::ftell(file_.f);
      faiss::VectorIOReader head;
      const auto extend = [&](size_t bytes) {
        if (bytes > bytes_ - std::ftell(file_.f))
          throw std::runtime_error("a length is beyond the file");
        head.data.resize(head.data.size() + bytes);
        read(head.data.data() + head.data.size() - bytes, bytes);
      };
      const auto length = [&] {
        uint64_t items;
        std::memcpy(&items, head.data.data() + head.data.size() - sizeof(items), sizeof(items));
        return items <= bytes_ ? items : bytes_ + 1;
      };
      extend(header_bytes + quantizer_bytes + sizeof(uint64_t));
      extend(length() * sizeof(float));
      extend(sizeof(uint64_t));
      const size_t codes = length(), at = std::ftell(file_.f);
      if (codes > bytes_ - at)
        throw std::runtime_error("a length is beyond the file");
      std::memset(head.data.data() + head.data.size() - sizeof(uint64_t), 0, sizeof(uint64_t));
      const std::unique_ptr<faiss::Index> empty(faiss::read_index(&head));
      const auto &scalar = dynamic_cast<const faiss::IndexScalarQuantizer &>(*empty);
      const auto type = scalar.sq.qtype;
      if (codes < map_from_ || (type != faiss::ScalarQuantizer::QT_8bit && type != faiss::ScalarQuantizer::QT_fp16))
      {
        move_to(start);
        return nullptr;
      }
      served::expect(scalar.ntotal >= 0 && scalar.code_size > 0 && codes % scalar.code_size == 0 &&
                         codes / scalar.code_size == size_t(scalar.ntotal),
                     "the list of codes");
      const auto file = map();
      move_to(at + codes);
      return std::make_unique<mapped::Codes>(scalar, file, at);
    }

    std::shared_ptr<const mapped::File> map() const
    {
      return std::make_shared<mapped::File>(::fileno(file_.f), size_t(bytes_));
    }

    std::unique_ptr<faiss::InvertedLists> mapped_lists(size_t code_size, const std::vector<size_t> &sizes, size_t at)
    {
      const auto file = map();
      auto lists = std::make_unique<mapped::Lists>(sizes.size(), code_size, file);
      for (size_t i = 0; i < sizes.size(); i++)
      {
        lists->codes[i] = file->start() + at;
        at += sizes[i] * code_size;
        lists->ids[i].resize(sizes[i]);
        if (sizes[i] > 0)
          std::memcpy(lists->ids[i].data(), file->start() + at, sizes[i] * sizeof(idx_t));
        at += sizes[i] * sizeof(idx_t);
      }
      move_to(at);
      return lists;
    }

    void move_to(size_t at)
    {
      if (std::fseek(file_.f, at, SEEK_SET) != 0)
        throw std::runtime_error(std::strerror(errno));
    }

    void read(void *to, size_t bytes)
    {
      if (file_(to, 1, bytes) != bytes)
        throw std::runtime_error("the file ends too early");
    }
  };

  // The hook: calls BoundedReader::lists.
  struct ListsHook : faiss::InvertedListsIOHook
  {
    ListsHook() : InvertedListsIOHook("ilmp", typeid(mapped::Lists).name()) {}

    faiss::InvertedLists *read_ArrayInvertedLists(faiss::IOReader *reader, int, size_t nlist, size_t code_size,
                                                  const std::vector<size_t> &sizes) const override
    {
      served::expect(sizes.size() == nlist, "the inverted file");
      return dynamic_cast<BoundedReader &>(*reader).lists(code_size, sizes).release();
    }

    faiss::InvertedLists *read(faiss::IOReader *, int) const override
    {
      throw served::Unserved("an inverted file of lists of another kind than arrays");
    }
    void write(const faiss::InvertedLists *, faiss::IOWriter *) const override
    {
      throw std::logic_error("mapped lists are read into memory before they are written");
    }
  };

  // Writes a file, and throws on disk errors: FAISS's own writer only prints those at the end.
  class CheckedWriter : public faiss::IOWriter
  {
  public:
    explicit CheckedWriter(const char *path) : file_(std::fopen(path, "wb"))
    {
      if (!file_)
        fail();
    }

    ~CheckedWriter() override
    {
      if (file_)
        std::fclose(file_);
    }

    size_t operator()(const void *from, size_t size, size_t items) override
    {
      const size_t written = std::fwrite(from, size, items, file_);
      if (written != items)
        fail();
      return written;
    }

    // Everything is on the disk when this returns.
    void finish()
    {
      if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0)
        fail();
      FILE *file = file_;
      file_ = nullptr;
      if (std::fclose(file) != 0)
        fail();
    }

  private:
    FILE *file_;
    [[noreturn]] static void fail() { throw std::runtime_error(std::strerror(errno)); }
  };

  // Reads an index file, without validating it (served.h does that). Codes of `map_from` bytes are mapped.
  inline std::unique_ptr<faiss::Index> read(const std::string &path, size_t map_from)
  {
    static std::once_flag hooked;
    std::call_once(hooked, [] { faiss::InvertedListsIOHook::add_callback(new ListsHook); });
    BoundedReader reader(path.c_str(), map_from);
    const bounded_memory::Bound bound(reader.most());
    return reader.index();
  }

  inline void write(const faiss::Index &index, const std::string &path)
  {
    CheckedWriter writer(path.c_str());
    faiss::write_index(&index, &writer);
    writer.finish();
  }
}
