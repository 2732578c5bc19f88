// Runs work off the JavaScript thread, and returns a promise of its result.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <napi.h>

namespace in_thread
{
  template <class Result>
  struct Task
  {
    Napi::Promise::Deferred promised;
    std::function<Result()> work;
    std::function<Napi::Value(Napi::Env, Result &)> answer;
    std::optional<Result> result;
    std::string failure;
    bool out_of_range = false;
    std::thread thread;

    // Runs in the work's thread. Releases what the work holds before the promise is settled.
    void run()
    {
      try
      {
        result = work();
      }
      catch (const std::out_of_range &error)
      {
        failure = error.what();
        out_of_range = true;
      }
      catch (const std::exception &error)
      {
        failure = error.what();
      }
      catch (...)
      {
        failure = "unknown error";
      }
      work = nullptr;
    }

    // Runs in the JavaScript thread.
    void settle(Napi::Env env)
    {
      const Napi::HandleScope scope(env);
      try
      {
        if (result)
          resolve(env);
        else if (out_of_range)
          promised.Reject(Napi::RangeError::New(env, failure).Value());
        else
          promised.Reject(Napi::Error::New(env, failure).Value());
      }
      catch (const Napi::Error &) // the JavaScript thread is ending: nothing waits for the promise
      {
      }
    }

    void resolve(Napi::Env env)
    {
      try
      {
        promised.Resolve(answer(env, *result));
      }
      catch (const Napi::Error &error) // e.g. no memory for the result
      {
        promised.Reject(error.Value());
      }
    }
  };

  // Runs `work`, which must not touch JavaScript values, in a separate thread, and returns a promise of what `answer`
  // makes of its result. Exceptions reject the promise: std::out_of_range as a RangeError, others as an Error.
  //
  // Does not use libuv's pool: its four threads decode pictures and read files, and a search would wait for them.
  template <class Result>
  Napi::Promise run(Napi::Env env, std::function<Result()> work, std::function<Napi::Value(Napi::Env, Result &)> answer)
  {
    auto *task = new Task<Result>{Napi::Promise::Deferred::New(env), std::move(work), std::move(answer)};
    const auto promise = task->promised.Promise();
    const auto done = Napi::ThreadSafeFunction::New(env, Napi::Function(), "faiss", 0, 1, [task](Napi::Env) {
      if (task->thread.joinable())
        task->thread.join();
      delete task;
    });
    auto body = [task, done]() mutable {
      task->run();
      done.BlockingCall([task](Napi::Env env, Napi::Function) { task->settle(env); });
      done.Release();
    };
    try
    {
      task->thread = std::thread(body);
    }
    catch (const std::system_error &)
    {
      body(); // no thread available
    }
    return promise;
  }
}
