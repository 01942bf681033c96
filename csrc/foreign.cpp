// What an archive of TorchScript holds, seen before anything of it runs: its entries as libtorch finds them, its code as libtorch
// parses it, and of the compiled network every operator and every value that is no plain one.
//
// Called by src/torchscript, which documents the contract. libtorch runs code while it opens a file at two places, both refused
// here: the defaults of parameters and the constants of classes, which it computes as it compiles them, and `__setstate__`.
// Compiling also folds operators of numbers and texts alone, none of which reaches outside.

#include "script.hpp"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/parser.h>
#include <torch/csrc/jit/frontend/tree_views.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <unordered_set>

using thingsvision::guard;
using thingsvision::has_its_bytes;
using thingsvision::Script;

namespace {

using torch::jit::Compound;
using torch::jit::Node;
using torch::jit::Source;
using torch::jit::TreeRef;

// Whether computing it computes nothing: `3`, `-1`, `"a"`, `[1, None]`, `annotate(List[int], [])`.
bool is_literal(const TreeRef &tree) {
    switch (tree->kind()) {
    case torch::jit::TK_CONST:
    case torch::jit::TK_STRINGLITERAL:
    case torch::jit::TK_VAR:
        return true;
    case torch::jit::TK_APPLY: {
        const torch::jit::Apply apply(tree);
        const bool annotates = apply.callee().kind() == torch::jit::TK_VAR && torch::jit::Var(apply.callee()).name().name() == "annotate";
        return annotates && apply.inputs().size() == 2 && is_literal(apply.inputs()[1].tree());
    }
    case torch::jit::TK_TRUE:
    case torch::jit::TK_FALSE:
    case torch::jit::TK_NONE:
    case torch::jit::TK_UNARY_MINUS:
    case torch::jit::TK_LIST:
    case torch::jit::TK_LIST_LITERAL:
    case torch::jit::TK_TUPLE_LITERAL:
    case torch::jit::TK_DICT_LITERAL:
        return std::all_of(tree->trees().begin(), tree->trees().end(), is_literal);
    default:
        return false;
    }
}

void check_literal(const std::string &name, const TreeRef &tree) {
    TORCH_CHECK(is_literal(tree), "`", name, "` has a value that would be computed while the file is opened");
}

// The parameters of `tree` and of all functions in it.
void check_defaults(const std::string &name, const TreeRef &tree) {
    if (tree->isAtom()) {
        return;
    }
    if (tree->kind() == torch::jit::TK_PARAM) {
        const auto value = torch::jit::Param(tree).defaultValue();
        if (value.present()) {
            check_literal(name, value.get().tree());
        }
    }
    for (const auto &part : tree->trees()) {
        check_defaults(name, part);
    }
}

void check_class(const std::string &name, const torch::jit::ClassDef &definition) {
    for (const auto &statement : definition.body()) {
        if (statement.kind() == torch::jit::TK_DEF) {
            const auto method = torch::jit::Def(statement).name().name();
            TORCH_CHECK(method != "__setstate__", "`", name, "` has a `__setstate__`, which would run while the file is opened");
        } else if (statement.kind() == torch::jit::TK_ASSIGN) {
            const torch::jit::Assign assign(statement);
            // Those of `__annotations__["0"] = Tensor` are types.
            if (assign.lhs().kind() == torch::jit::TK_VAR && assign.rhs().present()) {
                check_literal(name, assign.rhs().get().tree());
            }
        }
    }
}

// Of code of before 2020, which begins with `op_version_set = 1` and has imports.
void skip_heading(torch::jit::Lexer &lexer) {
    while (lexer.cur().kind == torch::jit::TK_IMPORT ||
           (lexer.cur().kind == torch::jit::TK_IDENT && lexer.cur().text() == "op_version_set")) {
        while (lexer.next().kind != torch::jit::TK_NEWLINE) {
            TORCH_CHECK(lexer.cur().kind != torch::jit::TK_EOF, "the code ends in a heading");
        }
    }
}

std::string other_than_dense(const at::Tensor &tensor) {
    if (!tensor.defined()) {
        return "";
    }
    if (tensor.layout() != at::kStrided || tensor.is_quantized() || !tensor.device().is_cpu()) {
        return c10::str("Tensor of ", tensor.layout(), ", ", tensor.scalar_type(), ", ", tensor.device());
    }
    return has_its_bytes(tensor) ? "" : "Tensor longer than its data";
}

// A value that is made of tensors, numbers, texts, devices and containers of these, or how its type is called.
class Plain {
  public:
    // Empty if it is plain.
    std::string other(const c10::IValue &value) {
        if (value.isTensor()) {
            return other_than_dense(value.toTensor());
        }
        if (value.isNone() || value.isScalar() || value.isString() || value.isDevice()) {
            return "";
        }
        if (!value.isPtrType()) {
            return value.tagKind();
        }
        const auto *pointer = value.internalToPointer();
        if (within_.count(pointer)) {
            return "a value that holds itself";
        }
        if (!seen_.insert(pointer).second) {
            return "";
        }
        if (within_.size() == DEEPEST) {
            return "values in values in values, without an end";
        }
        within_.insert(pointer);
        const auto found = of_parts(value);
        within_.erase(pointer);
        return found;
    }

  private:
    // In each other: what copies, prints and frees them takes room on the stack for each.
    static constexpr size_t DEEPEST = 1000;

    std::string of_parts(const c10::IValue &value) {
        if (value.isList()) {
            return of(value.toListRef());
        }
        if (value.isTuple()) {
            return of(value.toTupleRef().elements());
        }
        if (value.isGenericDict()) {
            std::string found;
            for (const auto &entry : value.toGenericDict()) {
                found = found.empty() ? other(entry.key()) : found;
                found = found.empty() ? other(entry.value()) : found;
            }
            return found;
        }
        if (value.isEnum()) {
            return other(value.toEnumHolder()->value());
        }
        if (!value.isObject()) {
            return value.tagKind();
        }
        // Its slots are those of a class of the archive's own code; what is C++ in it is a capsule.
        const auto &object = value.toObjectRef();
        const auto type = object.type();
        for (size_t i = 0; i < type->numAttributes(); i++) {
            if (i >= object.slots().size() || !fits(*type->getAttribute(i), object.slots()[i])) {
                return c10::str(type->getAttributeName(i), " of another type than its class says");
            }
        }
        return of(object.slots());
    }

    // Whether what code takes for a tensor, a number or an object of a class is one: libtorch does not look, and reads it as such.
    static bool fits(const c10::Type &type, const c10::IValue &value) {
        switch (type.kind()) {
        case c10::TypeKind::OptionalType:
            return value.isNone() || fits(*type.expectRef<c10::OptionalType>().getElementType(), value);
        case c10::TypeKind::TensorType:
            return value.isTensor() || value.isNone();
        case c10::TypeKind::IntType:
            return value.isInt();
        case c10::TypeKind::FloatType:
            return value.isDouble();
        case c10::TypeKind::BoolType:
            return value.isBool();
        case c10::TypeKind::StringType:
            return value.isString();
        case c10::TypeKind::ListType:
            return value.isList();
        case c10::TypeKind::DictType:
            return value.isGenericDict();
        case c10::TypeKind::TupleType: {
            const auto &parts = type.expectRef<c10::TupleType>().elements();
            if (!value.isTuple()) {
                return false;
            }
            const auto &elements = value.toTupleRef().elements();
            return std::equal(parts.begin(), parts.end(), elements.begin(), elements.end(),
                              [](const auto &part, const auto &element) { return fits(*part, element); });
        }
        case c10::TypeKind::ClassType:
            return value.isObject() && *value.toObjectRef().type() == type;
        default:
            return true;
        }
    }

    template <typename Values> std::string of(const Values &values) {
        for (const auto &value : values) {
            const auto found = other(value);
            if (!found.empty()) {
                return found;
            }
        }
        return "";
    }

    std::unordered_set<const void *> seen_;
    // Those that hold the one that is looked at.
    std::unordered_set<const void *> within_;
};

// The name of a class that is written in C++, or of a function that is, if a value of `type` is or calls one.
std::string name_in_cpp(const c10::TypePtr &type) {
    if (const auto object = type->cast<c10::ClassType>()) {
        const auto name = object->name() ? object->name()->qualifiedName() : "";
        return name.rfind("__torch__.torch.classes.", 0) == 0 ? name.substr(sizeof("__torch__.") - 1) : "";
    }
    const auto function = type->cast<c10::FunctionType>();
    const bool is_cpp = function && !torch::jit::tryToGraphFunction(*function->function());
    return is_cpp ? function->function()->qualname().qualifiedName() : "";
}

using Take = void (*)(void *context, const char *what, const char *where);

class Operators {
  public:
    Operators(void *context, Take take) : context_(context), take_(take) {}

    void of(torch::jit::Function &function) {
        function_ = function.qualname().qualifiedName();
        if (auto *code = torch::jit::tryToGraphFunction(function)) {
            of(code->graph()->block());
        }
    }

  private:
    void of(torch::jit::Block *block) {
        for (auto *node : block->nodes()) {
            take_(context_, node->kind().toQualString(), function_.c_str());
            of_dtypes(node);
            for (const auto *output : node->outputs()) {
                const auto name = name_in_cpp(output->type());
                if (!name.empty()) {
                    take_(context_, name.c_str(), function_.c_str());
                }
            }
            const auto constant = node->kind() == c10::prim::Constant ? torch::jit::toIValue(node->output()) : std::nullopt;
            const auto other = constant && !constant->isNone() ? Plain().other(*constant) : "";
            if (!other.empty()) {
                take_(context_, other.c_str(), function_.c_str());
            }
            for (auto *inner : node->blocks()) {
                of(inner);
            }
            if (node->hasAttribute(c10::attr::Subgraph)) {
                of(node->g(c10::attr::Subgraph)->block());
            }
        }
    }

    // A dtype is a number to code, and libtorch reads the table of dtypes at that number without a look. One that is not known before
    // the code runs is looked up in the dtypes there are, which fails for others.
    void of_dtypes(Node *node) {
        const auto *schema = node->maybeSchema();
        for (size_t i = 0; schema && i < schema->arguments().size(); i++) {
            auto *value = node->input(i);
            if (!is_dtype(schema->arguments()[i]) || value->node()->kind() == c10::prim::dtype) {
                continue;
            }
            const auto constant = torch::jit::toIValue(value);
            if (constant && !constant->isNone() && !dtypes().contains(*constant)) {
                take_(context_, c10::str("dtype ", *constant).c_str(), function_.c_str());
            } else if (!constant && value->type()->kind() == c10::TypeKind::IntType) {
                const torch::jit::WithInsertPoint before(node);
                auto &graph = *node->owningGraph();
                node->replaceInput(i, graph.insert(c10::aten::__getitem__, {graph.insertConstant(dtypes()), value}));
            } else if (!constant) {
                take_(context_, "dtype chosen as it runs", function_.c_str());
            }
        }
    }

    static bool is_dtype(const c10::Argument &argument) {
        auto type = argument.real_type();
        if (const auto optional = type->cast<c10::OptionalType>()) {
            type = optional->getElementType();
        }
        // That of `aten::to.prim_dtype` is declared a number.
        return type->kind() == c10::TypeKind::ScalarTypeType || argument.name() == "dtype";
    }

    static const c10::impl::GenericDict &dtypes() {
        static const auto all = [] {
            c10::impl::GenericDict dtypes(c10::IntType::get(), c10::IntType::get());
            for (int64_t dtype = 0; dtype < static_cast<int64_t>(at::ScalarType::Undefined); dtype++) {
                dtypes.insert(dtype, dtype);
            }
            return dtypes;
        }();
        return all;
    }

    void *context_;
    Take take_;
    std::string function_;
};

} // namespace

extern "C" {

// Calls `take(context, name, offset, size)` for each file in the archive at `path` that libtorch finds, with where in the archive
// its bytes begin and how many there are once unpacked.
int thingsvision_archive_entries(const char *path, void *context, void (*take)(void *, const char *, uint64_t, uint64_t),
                                 char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        caffe2::serialize::PyTorchStreamReader reader{std::string(path)};
        for (const auto &name : reader.getAllRecords()) {
            take(context, name.c_str(), reader.getRecordOffset(name), reader.getRecordSize(name));
        }
    });
}

// Fails if something in the file of code would run while it is opened. Calls `take(context, name, "")` for what it defines.
int thingsvision_code_check(const char *code, size_t length, void *context, Take take, char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        torch::jit::Parser parser(std::make_shared<Source>(std::string(code, length)));
        auto &lexer = parser.lexer();
        for (skip_heading(lexer); lexer.cur().kind != torch::jit::TK_EOF; skip_heading(lexer)) {
            const bool is_class = lexer.cur().kind == torch::jit::TK_CLASS_DEF;
            const TreeRef tree = is_class ? parser.parseClass() : parser.parseFunction(/*is_method=*/false);
            const auto name = is_class ? torch::jit::ClassDef(tree).name().name() : torch::jit::Def(tree).name().name();
            check_defaults(name, tree);
            if (is_class) {
                check_class(name, torch::jit::ClassDef(tree));
            }
            take(context, name.c_str(), "");
        }
    });
}

// Whether the network has the class or function `name`.
int thingsvision_script_has(const Script *script, const char *name) {
    const auto unit = script->root._ivalue()->compilation_unit();
    const c10::QualifiedName qualified{std::string(name)};
    return unit->get_type(qualified) || unit->find_function(qualified);
}

// Calls `take(context, operator, function)` for each node of all code, for each value that is not plain, also of a class that is
// written in C++, with its type, and for each dtype that does not exist. Dtypes that are computed are checked as the code runs, from
// then on.
int thingsvision_script_operators(const Script *script, void *context, Take take, char *message, size_t capacity) {
    return !guard(message, capacity, [&] {
        Operators operators(context, take);
        for (auto *function : script->root._ivalue()->compilation_unit()->get_functions()) {
            operators.of(*function);
        }
        const auto other = Plain().other(script->root._ivalue());
        if (!other.empty()) {
            take(context, other.c_str(), "an attribute");
        }
    });
}
}
