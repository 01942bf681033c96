// TorchScript archives: their tensors, their modules, and runs in which the output of every module is seen.
//
// tch hands out parameters only (the running statistics of batch norms are buffers), and no outputs of modules. Called by
// src/torchscript, which documents the contract. No exception, warning or print of libtorch leaves this file: a function
// that fails returns null, 1 or -2, and a message of at most `capacity - 1` bytes, of a longer one the end.
//
// How outputs are seen: at the end of every `forward` an operator `thingsvision::record(output, module)` is added, which
// shows the output to the run of its thread. Objects of one class share its code, so each gets its number as an attribute.

#include "script.hpp"

#include <ATen/core/Tensor.h>
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

using thingsvision::guard;
using thingsvision::Script;

namespace {

using torch::jit::Graph;
using torch::jit::Module;
using torch::jit::Node;

constexpr const char *NUMBER = "__thingsvision_module";

// Shows a tensor of an output: the module, whether a call's output begins with it, where in the output it is (`1:0` is the
// first element of the second), and the tensor, or null for an output without any. Returns whether to go on.
using See = int (*)(void *context, size_t module, int begins, const char *element, const at::Tensor *tensor);

struct Run {
    const uint8_t *wanted;
    void *context;
    See see;
};

thread_local Run *current = nullptr;

// Thrown through the interpreter when nothing more is wanted. It is no std::exception, of which libtorch makes text.
struct Stop {};

class Viewer {
  public:
    Viewer(const Run &run, size_t module) : run_(run), module_(module) {}

    void see(const c10::IValue &value) {
        see(value, "");
        if (begins_) {
            show("", nullptr);
        }
    }

  private:
    void see(const c10::IValue &value, const std::string &element) {
        if (value.isTensor()) {
            if (value.toTensor().defined()) {
                show(element, is_array(value.toTensor()) ? &value.toTensor() : nullptr);
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

    template <typename Values> void see_all(const Values &values, const std::string &element) {
        size_t i = 0;
        for (const auto &value : values) {
            see(value, inside(element, std::to_string(i++)));
        }
    }

    // Not nested, and of a type of numbers that has a name outside of libtorch.
    static bool is_array(const at::Tensor &tensor) {
        const auto kind = tensor.scalar_type();
        return !tensor.is_nested() && (kind <= at::kBool || kind == at::kBFloat16);
    }

    static std::string inside(const std::string &element, const std::string &name) {
        return element.empty() ? name : element + ":" + name;
    }

    void show(const std::string &element, const at::Tensor *tensor) {
        if (!run_.see(run_.context, module_, begins_, element.c_str(), tensor)) {
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
        Viewer(*current, module).see(output);
    }
}

torch::jit::RegisterOperators operators({torch::jit::Operator("thingsvision::record(Any output, int module) -> ()", record,
                                                              c10::AliasAnalysisKind::CONSERVATIVE)});

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

// Calls `visit(node)` for every node of the methods of `modules`, and of the functions that they call.
class Nodes {
  public:
    template <typename Visit> static void of(const std::vector<std::pair<std::string, Module>> &modules, Visit visit) {
        Nodes nodes;
        for (const auto &[_, module] : modules) {
            for (auto *method : module.type()->methods()) {
                nodes.walk(*method, visit);
            }
        }
    }

  private:
    template <typename Visit> void walk(torch::jit::Function &function, Visit &visit) {
        auto *code = torch::jit::tryToGraphFunction(function);
        if (code && done_.insert(code).second) {
            walk(code->graph()->block(), visit);
        }
    }

    template <typename Visit> void walk(torch::jit::Block *block, Visit &visit) {
        for (auto *node : block->nodes()) {
            for (auto *inner : node->blocks()) {
                walk(inner, visit);
            }
            visit(node);
            for (auto *input : node->inputs()) {
                if (const auto type = input->type()->cast<c10::FunctionType>()) {
                    walk(*type->function(), visit);
                }
            }
        }
    }

    std::unordered_set<torch::jit::Function *> done_;
};

// Whether a node assigns to an attribute, or changes the tensor in one, perhaps through views of it.
bool writes_attribute(const Node *node) {
    if (node->kind() == c10::prim::SetAttr) {
        return true;
    }
    const auto *schema = node->maybeSchema();
    for (size_t i = 0; schema && i < schema->arguments().size(); i++) {
        const auto *alias = schema->arguments()[i].alias_info();
        if (!alias || !alias->isWrite()) {
            continue;
        }
        const auto *source = node->input(i)->node();
        for (const auto *of = source->maybeSchema(); of && !of->returns().empty() && of->returns()[0].alias_info() && !source->inputs().empty();
             of = source->maybeSchema()) {
            source = source->input(0)->node();
        }
        // Batch norms count batches in training alone.
        if (source->kind() == c10::prim::GetAttr && source->s(c10::attr::name) != "num_batches_tracked") {
            return true;
        }
    }
    return false;
}

using Object = c10::intrusive_ptr<c10::ivalue::Object>;
using Objects = std::unordered_map<c10::ivalue::Object *, Object>;

// A module anew, with its parameters and copies of all else: what a run writes stays its own.
Object own(const Object &module, Objects &done) {
    auto &copy = done[module.get()];
    if (!copy) {
        copy = module->copy();
        const auto type = module->type();
        for (size_t i = 0; i < type->numAttributes(); i++) {
            const auto &value = module->getSlot(i);
            if (value.isModule()) {
                copy->setSlot(i, own(value.toObject(), done));
            } else if (!type->is_parameter(i)) {
                copy->setSlot(i, value.deepcopy());
            }
        }
    }
    return copy;
}

using Methods = std::unordered_set<std::string>;

// `forward`, and scripted overloads of it, `forward__0`. Of a module that is called again tracing makes `forward1`, which its
// parent calls; in scripted code that is a method of the author's.
bool is_forward(const torch::jit::Function &method, bool traced, const Methods &called) {
    const auto &name = method.name();
    if (name.rfind("forward", 0) != 0) {
        return false;
    }
    const bool is_numbered = name.find_first_not_of("_0123456789", 7) == std::string::npos;
    const bool is_overload = name.compare(7, 2, "__") == 0;
    return name.size() == 7 || (is_numbered && (is_overload || (traced && called.count(method.qualname().qualifiedName()))));
}

// The methods that others call than their own object.
Methods called_from_outside(const Script &script) {
    Methods called;
    Nodes::of(script.modules, [&](Node *node) {
        if (node->kind() == c10::prim::CallMethod && node->input(0) != node->owningGraph()->inputs().at(0)) {
            const auto type = node->input(0)->type()->cast<c10::ClassType>();
            const auto *method = type ? type->findMethod(node->s(c10::attr::name)) : nullptr;
            if (method) {
                called.insert(method->qualname().qualifiedName());
            }
        }
    });
    return called;
}

void record_calls(Script &script, bool traced) {
    const auto called = called_from_outside(script);
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
                if (is_forward(*method, traced, called)) {
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

    void adapt(Node *node) const {
        if (node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value)) {
            adapt_constant(node);
        } else if (node->kind() == c10::aten::to && was_half_) {
            adapt_cast(node);
        }
    }

  private:
    void adapt_constant(Node *node) const {
        if (node->output()->type()->kind() == c10::TypeKind::DeviceObjType) {
            node->s_(c10::attr::value, device_.str());
        } else if (node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t) {
            const auto &constant = node->t(c10::attr::value);
            node->t_(c10::attr::value, constant.to(device_, is_half(constant) ? kind_ : constant.scalar_type()));
        }
    }

    // x.half(), traced, is aten::to(x, 5, …).
    void adapt_cast(Node *node) const {
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
};

} // namespace

extern "C" {

// Opens the archive at `path`, whose code `thingsvision_code_check` passed, on the CPU. Nothing of its code is run.
Script *thingsvision_script_open(const char *path, char *message, size_t capacity) {
    Script *script = nullptr;
    guard(message, capacity, [&] {
        thingsvision::use_malloc();
        // Files that say where in Python a line stood are pickles that nobody needs.
        Script opened{torch::jit::load(path, c10::Device(c10::kCPU), /*load_debug_files=*/false), {}};
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
        const auto give = [&](const std::string &name, const at::Tensor &tensor, bool is_parameter) {
            TORCH_CHECK(thingsvision::has_its_bytes(tensor), "`", name, "` is longer than its data");
            take(context, name.c_str(), new at::Tensor(tensor.detach()), is_parameter);
        };
        for (const auto &parameter : script->root.named_parameters()) {
            give(parameter.name, parameter.value, true);
        }
        for (const auto &buffer : script->root.named_buffers()) {
            give(buffer.name, buffer.value, false);
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
        const Constants constants(device, kind, was_half);
        Nodes::of(script->modules, [&](Node *node) {
            constants.adapt(node);
            script->writes |= writes_attribute(node);
        });
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
            Objects done;
            Module root = script->writes ? Module(own(script->root._ivalue(), done)) : script->root;
            // With the hooks of the network as a whole, as `model(images)` has them.
            root({*images});
        } catch (const Stop &) {
        }
    });
}
}
