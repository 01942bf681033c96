// TorchScript archives: their tensors, their modules, and runs in which the output of every module is seen.
//
// tch hands out parameters only (the running statistics of batch norms are buffers), and no outputs of modules. Called by
// src/torchscript, which documents the contract. No exception, warning or print of libtorch leaves this file: a function
// that fails returns null, 1 or -2, and a message of at most `capacity - 1` bytes, of a longer one the end.
//
// How outputs are seen: at the end of every `forward` an operator `thingsvision::record(output, module)` is added, which
// shows the output to the run of its thread. Objects of one class share its code, so each gets its number as an attribute.

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inline_fork_wait.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

using torch::jit::Graph;
using torch::jit::Module;
using torch::jit::Node;

constexpr const char *NUMBER = "__thingsvision_module";

// A module that was opened, and all in it, each once, parents before children: as PyTorch's `named_modules()`.
struct Script {
    Module root;
    std::vector<std::pair<std::string, Module>> modules;
};

// Shows a tensor of an output: the module, whether a call's output begins with it, where in the output it is (`1:0` is the
// first element of the second), and the tensor. Returns whether to go on.
using See = int (*)(void *context, size_t module, int begins, const char *element, const at::Tensor *tensor);

struct Run {
    const uint8_t *wanted;
    void *context;
    See see;
};

thread_local Run *current = nullptr;

// Thrown through the interpreter when nothing more is wanted. It is no std::exception, of which libtorch makes text.
struct Stop {};

struct Silence : c10::WarningHandler {
    void process(const c10::Warning &) override {}
};

// While it lives, this thread gives no warnings, keeps no gradients, and runs code as it stands: the profiling of first runs
// takes longer than it saves.
struct Quiet {
    Silence silence;
    c10::WarningUtils::WarningHandlerGuard warnings{&silence};
    at::NoGradGuard no_grad;
    torch::jit::GraphOptimizerEnabledGuard plain{false};
};

void put(const std::string &text, char *message, size_t capacity) {
    const auto first = text.size() < capacity ? 0 : text.size() - (capacity - 1);
    std::strncpy(message, text.c_str() + first, capacity - 1);
    message[capacity - 1] = '\0';
}

template <typename Work> bool guard(char *message, size_t capacity, Work work) {
    try {
        Quiet quiet;
        work();
        return true;
    } catch (const c10::Error &error) {
        put(error.what_without_backtrace(), message, capacity);
    } catch (const std::exception &error) {
        put(error.what(), message, capacity);
    } catch (...) {
        put("an unknown C++ exception", message, capacity);
    }
    return false;
}

class Viewer {
  public:
    Viewer(const Run &run, size_t module) : run_(run), module_(module) {}

    void see(const c10::IValue &value, const std::string &element) {
        if (value.isTensor()) {
            if (value.toTensor().defined()) {
                show(element, value.toTensor());
            }
        } else if (value.isTuple()) {
            see_all(value.toTupleRef().elements(), element);
        } else if (value.isTensorList()) {
            see_all(value.toTensorVector(), element);
        } else if (value.isList()) {
            see_all(value.toListRef(), element);
        } else if (value.isGenericDict()) {
            for (const auto &entry : value.toGenericDict()) {
                const auto &key = entry.key();
                see(entry.value(), inside(element, key.isString() ? key.toStringRef() : c10::str(key)));
            }
        } else if (value.isObject()) {
            const auto object = value.toObject();
            for (size_t i = 0; i < object->type()->numAttributes(); i++) {
                see(object->getSlot(i), inside(element, object->type()->getAttributeName(i)));
            }
        }
    }

  private:
    template <typename Values> void see_all(const Values &values, const std::string &element) {
        size_t i = 0;
        for (const auto &value : values) {
            see(value, inside(element, std::to_string(i++)));
        }
    }

    static std::string inside(const std::string &element, const std::string &name) {
        return element.empty() ? name : element + ":" + name;
    }

    void show(const std::string &element, const at::Tensor &tensor) {
        if (!run_.see(run_.context, module_, begins_, element.c_str(), &tensor)) {
            throw Stop{};
        }
        begins_ = false;
    }

    const Run &run_;
    size_t module_;
    bool begins_ = true;
};

void record(torch::jit::Stack &stack) {
    const auto module = static_cast<size_t>(torch::jit::pop(stack).toInt());
    const auto output = torch::jit::pop(stack);
    if (current && (!current->wanted || current->wanted[module])) {
        Viewer(*current, module).see(output, "");
    }
}

torch::jit::RegisterOperators operators({torch::jit::Operator("thingsvision::record(Any output, int module) -> ()", record,
                                                              c10::AliasAnalysisKind::CONSERVATIVE)});

// `forward`, and scripted overloads of it, `forward__0`. Of a module that is called again tracing makes `forward1`; in
// scripted code that is a method of the author's.
bool is_forward(const std::string &method, bool traced) {
    if (method.rfind("forward", 0) != 0) {
        return false;
    }
    const bool is_numbered = method.find_first_not_of("_0123456789", 7) == std::string::npos;
    return method.size() == 7 || (is_numbered && (traced || method.compare(7, 2, "__") == 0));
}

void list(const std::string &name, const Module &module, std::unordered_set<c10::ivalue::Object *> &seen,
          std::vector<std::pair<std::string, Module>> &modules) {
    if (!seen.insert(module._ivalue().get()).second) {
        return;
    }
    modules.emplace_back(name, module);
    for (const auto &child : module.named_children()) {
        list(name.empty() ? child.name : name + "." + child.name, child.value, seen, modules);
    }
}

void record_calls(Script &script, bool traced) {
    std::unordered_set<const c10::ClassType *> done;
    for (size_t number = 0; number < script.modules.size(); number++) {
        const auto &module = script.modules[number].second;
        const auto type = module.type();
        if (done.insert(type.get()).second) {
            type->addOrCheckAttribute(NUMBER, c10::IntType::get());
            for (auto *method : type->methods()) {
                auto graph = torch::jit::toGraphFunction(*method).graph();
                // What is forked runs in other threads, where nobody would see it.
                torch::jit::InlineForkWait(graph);
                if (is_forward(method->name(), traced)) {
                    torch::jit::WithInsertPoint end(graph->return_node());
                    auto *id = graph->insertGetAttr(graph->inputs().at(0), NUMBER);
                    graph->insert(c10::Symbol::fromQualString("thingsvision::record"), {graph->outputs().at(0), id});
                }
            }
        }
        module._ivalue()->setAttr(NUMBER, static_cast<int64_t>(number));
    }
}

bool is_half(int64_t kind) {
    return kind == static_cast<int64_t>(at::kHalf) || kind == static_cast<int64_t>(at::kBFloat16);
}

bool is_half(const at::Tensor &tensor) {
    return is_half(static_cast<int64_t>(tensor.scalar_type()));
}

// Constants that were true where the network was exported.
class Constants {
  public:
    Constants(c10::Device device, at::ScalarType kind, bool was_half) : device_(device), kind_(kind), was_half_(was_half) {}

    void adapt(const std::vector<std::pair<std::string, Module>> &modules) {
        for (const auto &[_, module] : modules) {
            for (auto *method : module.type()->methods()) {
                adapt(*method);
            }
        }
    }

  private:
    void adapt(torch::jit::Function &function) {
        auto *code = torch::jit::tryToGraphFunction(function);
        if (code && done_.insert(code).second) {
            adapt(code->graph()->block());
        }
    }

    void adapt(torch::jit::Block *block) {
        for (auto *node : block->nodes()) {
            for (auto *inner : node->blocks()) {
                adapt(inner);
            }
            if (node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value)) {
                adapt_constant(node);
            } else if (node->kind() == c10::aten::to && was_half_) {
                adapt_cast(node);
            }
            for (auto *input : node->inputs()) {
                if (const auto type = input->type()->cast<c10::FunctionType>()) {
                    adapt(*type->function());
                }
            }
        }
    }

    void adapt_constant(Node *node) {
        if (node->output()->type()->kind() == c10::TypeKind::DeviceObjType) {
            node->s_(c10::attr::value, device_.str());
        } else if (node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t) {
            const auto &constant = node->t(c10::attr::value);
            node->t_(c10::attr::value, constant.to(device_, is_half(constant) ? kind_ : constant.scalar_type()));
        }
    }

    // x.half(), traced, is aten::to(x, 5, …).
    void adapt_cast(Node *node) {
        for (size_t i = 1; i < std::min<size_t>(node->inputs().size(), 3); i++) {
            const auto constant = torch::jit::toIValue(node->input(i));
            if (constant && constant->isInt() && is_half(constant->toInt())) {
                torch::jit::WithInsertPoint here(node);
                node->replaceInput(i, node->owningGraph()->insertConstant(static_cast<int64_t>(kind_)));
            }
        }
    }

    c10::Device device_;
    at::ScalarType kind_;
    bool was_half_;
    std::unordered_set<torch::jit::Function *> done_;
};

} // namespace

extern "C" {

// Opens the archive at `path` on the CPU. Its code is not run.
Script *thingsvision_script_open(const char *path, char *message, size_t capacity) {
    Script *script = nullptr;
    guard(message, capacity, [&] {
        Script opened{torch::jit::load(path, c10::Device(c10::kCPU)), {}};
        std::unordered_set<c10::ivalue::Object *> seen;
        list("", opened.root, seen, opened.modules);
        script = new Script(std::move(opened));
    });
    return script;
}

void thingsvision_script_close(Script *script) { delete script; }

// Calls `take(context, key, tensor, is_parameter)` for each parameter and buffer; the callee owns `tensor`.
int thingsvision_script_tensors(const Script *script, void *context,
                                void (*take)(void *, const char *, at::Tensor *, int), char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        for (const auto &parameter : script->root.named_parameters()) {
            take(context, parameter.name.c_str(), new at::Tensor(parameter.value.detach()), 1);
        }
        for (const auto &buffer : script->root.named_buffers()) {
            take(context, buffer.name.c_str(), new at::Tensor(buffer.value.detach()), 0);
        }
    });
}

// Calls `take(context, name, class)` for each module, by number.
int thingsvision_script_modules(const Script *script, void *context, void (*take)(void *, const char *, const char *),
                                char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        for (const auto &[name, module] : script->modules) {
            const auto type = module.type()->name();
            take(context, name.c_str(), type ? type->name().c_str() : "Module");
        }
    });
}

// The number of inputs that `forward` must be given, or -1 if there is no `forward`, or -2 on an error.
int thingsvision_script_inputs(const Script *script, char *message, size_t capacity) {
    int number = -2;
    guard(message, capacity, [&] {
        const auto forward = script->root.find_method("forward");
        number = -1;
        if (forward) {
            const auto &arguments = forward->function().getSchema().arguments();
            number = static_cast<int>(std::count_if(arguments.begin() + 1, arguments.end(),
                                                    [](const c10::Argument &argument) { return !argument.default_value(); }));
        }
    });
    return number;
}

// Puts the network where `like` is in evaluation mode, makes its floating-point numbers those of the kind of `like`, and has
// outputs recorded, also those of what tracing made of second calls if it was `traced`. Once, before it runs.
int thingsvision_script_prepare(Script *script, const at::Tensor *like, int traced, char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        torch::jit::setPrintHandler([](const std::string &) {});
        const auto device = like->device();
        const auto kind = like->scalar_type();
        script->root.eval();
        script->root.to(device);
        bool was_half = false;
        const auto convert = [&](at::Tensor tensor) {
            was_half |= is_half(tensor);
            if (tensor.is_floating_point()) {
                tensor.set_data(tensor.to(kind));
            }
        };
        for (const auto &parameter : script->root.parameters()) {
            convert(parameter);
        }
        for (const auto &buffer : script->root.buffers()) {
            convert(buffer);
        }
        Constants(device, kind, was_half).adapt(script->modules);
        record_calls(*script, traced);
    });
}

// Runs `images` and shows the outputs of the modules that `wanted`, a byte for each module, is not 0 for; null means all.
int thingsvision_script_run(const Script *script, const at::Tensor *images, const uint8_t *wanted, void *context, See see,
                            char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        Run run{wanted, context, see};
        struct Reset {
            ~Reset() { current = nullptr; }
        } reset;
        current = &run;
        try {
            Module root = script->root;
            root.forward({*images});
        } catch (const Stop &) {
        }
    });
}
}
