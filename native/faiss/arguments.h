// Validated method arguments from JavaScript. Everything here throws JavaScript errors.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
#include <napi.h>

namespace arguments
{
  inline void expect_count(const Napi::CallbackInfo &info, size_t least, size_t most)
  {
    if (info.Length() >= least && info.Length() <= most)
      return;
    std::string expected = std::to_string(least);
    if (most > least)
      expected += " to " + std::to_string(most);
    throw Napi::Error::New(info.Env(), "Expected " + expected + (most == 1 ? " argument" : " arguments") +
                                           ", but got " + std::to_string(info.Length()) + ".");
  }

  inline std::string text(const Napi::Value &value)
  {
    if (!value.IsString())
      throw Napi::TypeError::New(value.Env(), "Expected a string.");
    return value.As<Napi::String>();
  }

  inline uint32_t number(const Napi::Value &value)
  {
    if (!value.IsNumber())
      throw Napi::TypeError::New(value.Env(), "Expected a number.");
    return value.As<Napi::Number>();
  }

  template <class Array>
  Array typed_array(const Napi::Value &value, napi_typedarray_type type, const char *expected)
  {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
      throw Napi::TypeError::New(value.Env(), std::string("Expected ") + expected + ".");
    return value.As<Array>();
  }

  // Concatenated vectors in a Float32Array, not copied.
  struct Vectors
  {
    const float *data;
    size_t length; // in floats
    size_t count;

    Vectors(const Napi::Value &value, size_t d)
    {
      auto array = typed_array<Napi::Float32Array>(value, napi_float32_array, "vectors as a Float32Array");
      data = array.Data();
      length = array.ElementLength();
      count = length / d;
      if (length % d != 0)
        throw Napi::Error::New(value.Env(), "Invalid the given array length.");
    }
  };

  // A copy of the rows in a Uint32Array.
  inline std::vector<uint32_t> rows(const Napi::Value &value)
  {
    auto array = typed_array<Napi::Uint32Array>(value, napi_uint32_array, "rows as a Uint32Array");
    return {array.Data(), array.Data() + array.ElementLength()};
  }

  // A copy of the bits in a Uint8Array, one for each of n rows, in words.
  inline std::vector<uint64_t> bits(const Napi::Value &value, size_t n)
  {
    auto array = typed_array<Napi::Uint8Array>(value, napi_uint8_array, "bits as a Uint8Array");
    if (array.ElementLength() != (n + 31) / 32 * 4)
      throw Napi::RangeError::New(value.Env(), "Expected a bit for each of " + std::to_string(n) + " rows.");
    std::vector<uint64_t> words((n + 63) / 64);
    std::memcpy(words.data(), array.Data(), array.ElementLength());
    if (n % 64 > 0)
      words.back() &= (uint64_t(1) << n % 64) - 1;
    return words;
  }

  // Ids in an array of numbers.
  inline std::vector<int64_t> ids(const Napi::Value &value)
  {
    if (!value.IsArray())
      throw Napi::TypeError::New(value.Env(), "Expected ids as an Array.");
    const auto array = value.As<Napi::Array>();
    std::vector<int64_t> ids(array.Length());
    for (uint32_t i = 0; i < ids.size(); i++)
    {
      const Napi::Value id = array[i];
      if (!id.IsNumber())
        throw Napi::TypeError::New(value.Env(), "Expected a Number as array item. (at: " + std::to_string(i) + ")");
      ids[i] = id.As<Napi::Number>();
    }
    return ids;
  }
}
