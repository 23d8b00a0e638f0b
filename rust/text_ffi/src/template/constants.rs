//! Refuses templates whose constant expressions the compiler would fold into something huge ('a' * 1000000000).
//! It bounds sizes on the syntax tree before the code generator runs; it evaluates nothing itself. What is folded has
//! the engine's meaning, not Python's: 'x' ~ ['y'] prints the list in Rust's form, -7 // -2 rounds differently.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::{Error, ErrorKind, Value};

const MAX_CONSTANT: u64 = 1 << 20;

pub fn check(tree: &Stmt<'_>) -> Result<(), Error> {
    statement(tree)
}

fn statements(list: &[Stmt<'_>]) -> Result<(), Error> {
    list.iter().try_for_each(statement)
}

fn statement(node: &Stmt<'_>) -> Result<(), Error> {
    match node {
        Stmt::Template(node) => statements(&node.children),
        Stmt::EmitExpr(node) => expression(&node.expr),
        Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => Ok(()),
        Stmt::ForLoop(node) => {
            expression(&node.target)?;
            expression(&node.iter)?;
            optional(&node.filter_expr)?;
            statements(&node.body)?;
            statements(&node.else_body)
        }
        Stmt::IfCond(node) => {
            expression(&node.expr)?;
            statements(&node.true_body)?;
            statements(&node.false_body)
        }
        Stmt::WithBlock(node) => {
            node.assignments.iter().try_for_each(|(target, value)| pair(target, value))?;
            statements(&node.body)
        }
        Stmt::Set(node) => pair(&node.target, &node.expr),
        Stmt::SetBlock(node) => {
            expression(&node.target)?;
            optional(&node.filter)?;
            statements(&node.body)
        }
        Stmt::AutoEscape(node) => {
            expression(&node.enabled)?;
            statements(&node.body)
        }
        Stmt::FilterBlock(node) => {
            expression(&node.filter)?;
            statements(&node.body)
        }
        Stmt::Block(node) => statements(&node.body),
        Stmt::Macro(node) => {
            node.defaults.iter().try_for_each(expression)?;
            statements(&node.body)
        }
        Stmt::CallBlock(node) => {
            expression(&node.call.expr)?;
            arguments(&node.call.args)?;
            node.macro_decl.defaults.iter().try_for_each(expression)?;
            statements(&node.macro_decl.body)
        }
        Stmt::Do(node) => {
            expression(&node.call.expr)?;
            arguments(&node.call.args)
        }
        // A chat template stands alone: there is nothing to include, import or extend.
        Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
            Err(Error::new(ErrorKind::SyntaxError, "include, import and extends are not available in a chat template"))
        }
    }
}

fn pair(target: &Expr<'_>, value: &Expr<'_>) -> Result<(), Error> {
    expression(target)?;
    expression(value)
}

fn optional(node: &Option<Expr<'_>>) -> Result<(), Error> {
    node.as_ref().map_or(Ok(()), expression)
}

fn expression(node: &Expr<'_>) -> Result<(), Error> {
    size(node).map(|_| ())
}

fn arguments(args: &[CallArg<'_>]) -> Result<(), Error> {
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(value) | CallArg::PosSplat(value) | CallArg::Kwarg(_, value) | CallArg::KwargSplat(value) => {
            expression(value)
        }
    })
}

/// What a constant expression can come to: its size in bytes and, for a number, how often it could repeat a text.
#[derive(Clone, Copy)]
struct Bound {
    is_text: bool,
    bytes: u64,
    repeats: u64,
}

const SMALL: Bound = Bound { is_text: false, bytes: 16, repeats: 1 };

/// RETURNS: the bound of a constant expression, None for one that depends on the input.
fn size(node: &Expr<'_>) -> Result<Option<Bound>, Error> {
    let bound = match node {
        Expr::Const(constant) => Some(value_bound(&constant.value)),
        Expr::List(list) => sum(list.items.iter())?,
        Expr::Map(map) => sum(map.keys.iter().chain(map.values.iter()))?,
        Expr::UnaryOp(operation) => size(&operation.expr)?,
        Expr::BinOp(operation) => {
            let (left, right) = (size(&operation.left)?, size(&operation.right)?);
            left.zip(right).map(|(left, right)| combine(&operation.op, left, right))
        }
        Expr::Compare(comparison) => {
            expression(&comparison.expr)?;
            comparison.ops.iter().try_for_each(|operation| expression(&operation.expr))?;
            Some(SMALL)
        }
        other => {
            dependent(other)?;
            None
        }
    };
    if bound.is_some_and(|bound| bound.bytes > MAX_CONSTANT) {
        return Err(Error::new(ErrorKind::SyntaxError, "a constant expression of the template is too large"));
    }
    Ok(bound)
}

fn combine(operator: &BinOpKind, left: Bound, right: Bound) -> Bound {
    let is_text = left.is_text || right.is_text || matches!(operator, BinOpKind::Concat);
    let bytes = match operator {
        BinOpKind::Mul if left.is_text => left.bytes.saturating_mul(right.repeats.max(1)),
        BinOpKind::Mul if right.is_text => right.bytes.saturating_mul(left.repeats.max(1)),
        _ if is_text => left.bytes.saturating_add(right.bytes),
        _ => SMALL.bytes,
    };
    let repeats = match operator {
        BinOpKind::Add | BinOpKind::Sub => left.repeats.saturating_add(right.repeats),
        BinOpKind::Mul => left.repeats.saturating_mul(right.repeats),
        BinOpKind::Pow => u64::MAX,
        _ => left.repeats.max(right.repeats),
    };
    Bound { is_text, bytes, repeats }
}

/// Expressions that the compiler never folds.
fn dependent(node: &Expr<'_>) -> Result<(), Error> {
    match node {
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            optional(&slice.start)?;
            optional(&slice.stop)?;
            optional(&slice.step)
        }
        Expr::IfExpr(choice) => {
            expression(&choice.test_expr)?;
            expression(&choice.true_expr)?;
            optional(&choice.false_expr)
        }
        Expr::Filter(filter) => {
            optional(&filter.expr)?;
            arguments(&filter.args)
        }
        Expr::Test(test) => {
            expression(&test.expr)?;
            arguments(&test.args)
        }
        Expr::GetAttr(access) => expression(&access.expr),
        Expr::GetItem(access) => pair(&access.expr, &access.subscript_expr),
        Expr::Call(call) => {
            expression(&call.expr)?;
            arguments(&call.args)
        }
        _ => Ok(()),
    }
}

fn sum<'a, 's: 'a>(items: impl Iterator<Item = &'a Expr<'s>>) -> Result<Option<Bound>, Error> {
    let mut total = Some(Bound { is_text: true, ..SMALL });
    for item in items {
        let inner = size(item)?;
        total = total.zip(inner).map(|(total, inner)| combine(&BinOpKind::Add, total, inner));
    }
    Ok(total)
}

fn value_bound(value: &Value) -> Bound {
    if let Some(text) = value.as_str() {
        return Bound { is_text: true, bytes: text.len() as u64 + 16, repeats: 1 };
    }
    let repeats = match value.as_i64() {
        Some(number) => number.unsigned_abs(),
        None if value.is_integer() => u64::MAX,
        None => 1,
    };
    Bound { repeats, ..SMALL }
}
