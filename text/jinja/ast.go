package jinja

// expr is an expression of a template. Its eval method is in eval_expr.go; callers go through interp.eval, which
// counts steps and depth.
type expr interface {
	at() position
	eval(in *interp) (value, error)
}

// stmt is a statement of a template. Its exec method is in eval_stmt.go; callers go through interp.run.
type stmt interface {
	at() position
	exec(in *interp) (signal, error)
}

// at makes every node that embeds a position an expr or a stmt.
func (p position) at() position { return p }

// symbol numbers the names of one template, so that scopes compare integers.
type symbol int

// Expressions.
type (
	// constExpr is a literal.
	constExpr struct {
		position
		val value
	}
	// nameExpr looks up a variable.
	nameExpr struct {
		position
		sym  symbol
		name string
	}
	// tupleExpr is (a, b); listExpr is [a, b]; dictExpr is {k: v}, keys and values alternating in items.
	tupleExpr struct {
		position
		items []expr
	}
	listExpr struct {
		position
		items []expr
	}
	dictExpr struct {
		position
		items []expr
	}
	// attrExpr is x.name; indexExpr is x[index]; sliceExpr is x[start:stop:step] with nil for what is left out.
	attrExpr struct {
		position
		obj  expr
		name string
	}
	indexExpr struct {
		position
		obj, index expr
	}
	sliceExpr struct {
		position
		obj, start, stop, step expr
	}
	// callExpr is fn(args).
	callExpr struct {
		position
		fn   expr
		args argExprs
	}
	// filterExpr is obj | name(args). A nil obj stands for the text of the enclosing filter or set block. def is nil
	// if no filter has that name, which is an error only when evaluated.
	filterExpr struct {
		position
		obj  expr
		name string
		def  *filter
		args argExprs
	}
	// testExpr is obj is name(args); def as in filterExpr.
	testExpr struct {
		position
		obj    expr
		name   string
		def    *test
		args   argExprs
		negate bool
	}
	// unaryExpr is not x, -x or +x.
	unaryExpr struct {
		position
		op string
		x  expr
	}
	// binaryExpr is arithmetic: + - * / // % **.
	binaryExpr struct {
		position
		op   string
		l, r expr
	}
	// logicExpr is "and" or "or"; its value is that of one operand.
	logicExpr struct {
		position
		and  bool
		l, r expr
	}
	// concatExpr is a ~ b ~ c.
	concatExpr struct {
		position
		items []expr
	}
	// compareExpr is a chain: first ops[0] rest[0] ops[1] rest[1] ...
	compareExpr struct {
		position
		first expr
		ops   []string
		rest  []expr
	}
	// condExpr is yes if cond else no; no may be nil.
	condExpr struct {
		position
		cond, yes, no expr
	}
)

// argExprs are the arguments of a call as written.
type argExprs struct {
	pos      []expr
	names    []string // names of kw
	kw       []expr
	star     expr // *star
	starStar expr // **starStar
}

// Statements.
type (
	// textStmt prints text as it is; outputStmt prints a value.
	textStmt struct {
		position
		text string
	}
	outputStmt struct {
		position
		x expr
	}
	// ifStmt runs the first body whose condition holds; otherwise is the else body.
	ifStmt struct {
		position
		conds     []expr
		bodies    [][]stmt
		otherwise []stmt
	}
	// forStmt runs body for each element of iter for which cond holds.
	forStmt struct {
		position
		target    target
		iter      expr
		cond      expr // nil for all elements
		body      []stmt
		otherwise []stmt
		recursive bool
	}
	// setStmt assigns a value; setBlockStmt assigns the text of body, passed through filters if that is not nil.
	setStmt struct {
		position
		target target
		x      expr
	}
	setBlockStmt struct {
		position
		target  target
		filters expr
		body    []stmt
	}
	// macroStmt defines a macro; callStmt calls call with body as its "caller".
	macroStmt struct {
		position
		sym symbol
		def *macroDef
	}
	callStmt struct {
		position
		call *callExpr
		body *macroDef
	}
	// filterStmt prints the text of body passed through filters.
	filterStmt struct {
		position
		filters expr
		body    []stmt
	}
	// scopeStmt runs body in a scope of its own: with (which assigns first) and generation.
	scopeStmt struct {
		position
		targets []target
		vals    []expr
		body    []stmt
	}
	// unsupportedStmt is a statement that fails where it is reached, and why.
	unsupportedStmt struct {
		position
		why string
	}
	// jumpStmt is break or continue.
	jumpStmt struct {
		position
		sig signal
	}
)

// macroDef is what a macro statement or the body of a call block declares.
type macroDef struct {
	name     string
	params   []symbol
	names    []string // names of params
	defaults []expr   // of the last len(defaults) params
	body     []stmt
	// Symbols of the implicit arguments, -1 for those that the source of the template does not mention.
	caller, varargs, kwargs symbol
}

// target is the left side of an assignment: a name, a namespace attribute (attr not empty), or a tuple of targets.
type target struct {
	position
	sym   symbol
	name  string
	attr  string
	items []target // not nil for a tuple
}
