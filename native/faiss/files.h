// Index files: bounded reads, of which large inverted lists are mapped; durable writes.
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
#include "mapped_lists.h"
#include "served.h"

namespace files
{
  // Reads a file, and refuses a length that exceeds the file before FAISS allocates it.
  class BoundedReader : public faiss::IOReader
  {
  public:
    // @param map_from the least number of bytes of inverted lists that are mapped
    BoundedReader(const char *path, size_t map_from) : map_from_(map_from), file_(path)
    {
      std::fseek(file_.f, 0, SEEK_END);
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
        return mapped(code_size, sizes, from);
      auto lists = std::make_unique<faiss::ArrayInvertedLists>(sizes.size(), code_size);
      for (size_t i = 0; i < sizes.size(); i++)
      {
        lists->resize(i, sizes[i]);
        read(lists->codes[i].data(), lists->codes[i].size());
        read(lists->ids[i].data(), sizes[i] * sizeof(idx_t));
      }
      return lists;
    }

  private:
    using idx_t = served::idx_t;
    size_t map_from_;
    faiss::FileIOReader file_;
    uint64_t bytes_;

    std::unique_ptr<faiss::InvertedLists> mapped(size_t code_size, const std::vector<size_t> &sizes, size_t at)
    {
      auto lists =
          std::make_unique<mapped_lists::MappedLists>(sizes.size(), code_size, ::fileno(file_.f), size_t(bytes_));
      for (size_t i = 0; i < sizes.size(); i++)
      {
        lists->codes[i] = lists->start() + at;
        at += sizes[i] * code_size;
        lists->ids[i].resize(sizes[i]);
        if (sizes[i] > 0)
          std::memcpy(lists->ids[i].data(), lists->start() + at, sizes[i] * sizeof(idx_t));
        at += sizes[i] * sizeof(idx_t);
      }
      if (std::fseek(file_.f, at, SEEK_SET) != 0)
        throw std::runtime_error(std::strerror(errno));
      return lists;
    }

    void read(void *to, size_t bytes)
    {
      if (file_(to, 1, bytes) != bytes)
        throw std::runtime_error("the file ends too early");
    }
  };

  // Has FAISS call BoundedReader::lists, when it reads with `flags`.
  struct ListsHook : faiss::InvertedListsIOHook
  {
    static constexpr int flags = faiss::IO_FLAG_SKIP_IVF_DATA | 'm' << 16 | 'p' << 24;

    ListsHook() : InvertedListsIOHook("ilmp", typeid(mapped_lists::MappedLists).name()) {}

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

  // Reads an index file, without validating it (served.h does that). Inverted lists of `map_from` bytes are mapped.
  inline std::unique_ptr<faiss::Index> read(const std::string &path, size_t map_from)
  {
    static std::once_flag hooked;
    std::call_once(hooked, [] { faiss::InvertedListsIOHook::add_callback(new ListsHook); });
    BoundedReader reader(path.c_str(), map_from);
    const bounded_memory::Bound bound(reader.most());
    return std::unique_ptr<faiss::Index>(faiss::read_index(&reader, ListsHook::flags));
  }

  inline void write(const faiss::Index &index, const std::string &path)
  {
    CheckedWriter writer(path.c_str());
    faiss::write_index(&index, &writer);
    writer.finish();
  }
}
