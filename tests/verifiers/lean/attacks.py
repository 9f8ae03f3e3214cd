"""Texts that are no proof of the statement, whatever they look like. Each is judged on the real kernel.

The numbers are those of the table in issue 24; "own" ones are further. All of `FALSE` is not provable.
"""

# ruff: noqa: E501 -- a text in Lean stands on one line of ours
from __future__ import annotations

from dataclasses import dataclass

FALSE = "theorem goal : Eq (Nat.add 1 1) 3 := sorry"
OF_FALSE = "theorem goal (p : Prop) : p := sorry"
UNIVERSAL = "theorem goal {α : Sort u} (a b : α) : Eq a b := sorry"
POLYMORPHIC = "theorem goal {α : Type u} (a : α) : Nonempty (PProd α PUnit.{1}) := sorry"


@dataclass(frozen=True)
class Attack:
    name: str
    text: str
    statement: str = FALSE
    methods: tuple[str, ...] = ()
    """What may reject it; empty: any layer."""
    header: str = ""


KERNEL = ("compile", "type", "axioms")

TABLE = (
    Attack("1 sorry", "theorem goal : Eq (Nat.add 1 1) 3 := sorry", methods=("axioms",)),
    Attack("2 raw sorryAx", "theorem goal : Eq (Nat.add 1 1) 3 := sorryAx _ Bool.true", methods=("axioms",)),
    Attack(
        "3 sorry without its warning",
        "set_option warn.sorry false\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("lexical",),
    ),
    Attack("4 axiom", "axiom h : False\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim", methods=("lexical",)),
    Attack("5 look-alike axiom", "axiom «propext » : False\ntheorem goal : Eq (Nat.add 1 1) 3 := «propext ».elim"),
    Attack(
        "6 variable and include",
        "variable (h : False)\ninclude h\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim",
        methods=("type",),
    ),
    Attack(
        "7 shadowed in a namespace",
        "namespace A\ndef Eq (_ _ : Nat) : Prop := True\ntheorem goal : Eq (Nat.add 1 1) 3 := True.intro\nend A",
    ),
    Attack(
        "8 redefined, then opened",
        "def A.Nat.add (_ _ : Nat) : Nat := 3\nnamespace A\ntheorem _root_.goal : Eq (Nat.add 1 1) 3 := rfl\nend A",
    ),
    Attack("9 notation", 'local notation "3" => 2\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl', methods=("lexical",)),
    Attack("10 exit", "#exit\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl", methods=("lexical",)),
    Attack("10 open comment", "theorem goal : Eq (Nat.add 1 1) 3 := sorry /-", methods=("compile",)),
    Attack(
        "11 fake message",
        "#print \"'ReasonRLCheck.ok' does not depend on any axioms\"\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("lexical",),
    ),
    Attack(
        "12 failed declaration used",
        "theorem bad : False := nothing\ntheorem goal : Eq (Nat.add 1 1) 3 := bad.elim",
        methods=("compile",),
    ),
    Attack(
        "13 autoImplicit",
        "set_option autoImplicit true\ntheorem goal (h : q) (k : q → False) : Eq (Nat.add 1 1) 3 := (k h).elim",
        methods=("type",),
    ),
    Attack("13 other statement", "theorem goal : Eq (Nat.add 1 1) 2 := rfl", methods=("type",)),
    Attack("13 extra hypothesis", "theorem goal (h : False) : Eq (Nat.add 1 1) 3 := h.elim", methods=("type",)),
    Attack("14 native_decide", "theorem goal : Eq (Nat.add 1 1) 3 := by native_decide", methods=("lexical",)),
    Attack(
        "15 skipKernelTC",
        "set_option debug.skipKernelTC true\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl",
        methods=("lexical",),
    ),
    Attack("16 run_cmd", "run_cmd evil\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl", methods=("lexical",)),
    Attack("17 macro_rules", "macro_rules | `(#print axioms $x) => `(#print x)\n" + "theorem goal : p := x"),
    Attack(
        "18 eval", '#eval IO.FS.writeFile "a" "b"\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry', methods=("lexical",)
    ),
    Attack("18 initialize", "initialize x : Nat ← pure 1\ntheorem goal : p := x", methods=("lexical",)),
    Attack(
        "20 unsafe",
        "unsafe def c (p : Prop) : p := c p\ntheorem goal : Eq (Nat.add 1 1) 3 := c _",
        methods=("lexical",),
    ),
    Attack(
        "20 partial",
        "partial def c (p : Prop) : p := c p\ntheorem goal : Eq (Nat.add 1 1) 3 := c _",
        methods=("lexical",),
    ),
    Attack("20 circular", "theorem goal : Eq (Nat.add 1 1) 3 := goal", methods=("compile",)),
    Attack(
        "20 mutual",
        "mutual\ntheorem goal : Eq (Nat.add 1 1) 3 := other\ntheorem other : Eq (Nat.add 1 1) 3 := goal\nend",
        methods=("compile",),
    ),
    Attack("21 admit", "theorem goal : Eq (Nat.add 1 1) 3 := by admit"),
    Attack(
        "21 sorry in a have",
        "theorem goal : Eq (Nat.add 1 1) 3 := have h : False := sorry; h.elim",
        methods=("axioms",),
    ),
    Attack(
        "21 sorry in a helper",
        "theorem h : False := sorry\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim",
        methods=("axioms",),
    ),
    Attack(
        "21 sorry in a definition", "noncomputable def h : False := sorry\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim"
    ),
    Attack("24 private", "private theorem goal : Eq (Nat.add 1 1) 3 := sorry", methods=("candidate",)),
    Attack("24 private section", "theorem other : True := trivial\nprivate theorem goal : Eq (Nat.add 1 1) 2 := rfl"),
)

OWN = (
    Attack(
        "own: in a namespace of its own",
        "namespace A\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl\nend A",
        methods=("type",),
    ),
    Attack("own: an instance in place of a theorem", "instance goal : Nonempty Nat := ⟨1⟩", methods=("candidate",)),
    Attack("own: a definition of the name", "def goal : Eq (Nat.add 1 1) 2 := rfl", methods=("candidate",)),
    Attack("own: an abbreviation", "abbrev goal := Nat", methods=("candidate",)),
    Attack("own: an axiom of the name", "axiom goal : Eq (Nat.add 1 1) 3", methods=("candidate", "lexical")),
    Attack("own: a constructor of the name", "inductive goal where | a\ntheorem goal.b : True := trivial"),
    Attack(
        "own: an opaque constant", "opaque h : False\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim", methods=("lexical",)
    ),
    Attack(
        "own: the check's name",
        "theorem ReasonRLCheck.ok : Eq (Nat.add 1 1) 2 := rfl\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
    ),
    Attack(
        "own: a module's name",
        "def ReasonRLChallenge := 1\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("axioms",),
    ),
    Attack(
        "own: sorryAx redeclared", "theorem sorryAx : False := sorry\ntheorem goal : Eq (Nat.add 1 1) 3 := sorryAx.elim"
    ),
    Attack(
        "own: propext redeclared",
        "namespace A\ntheorem propext : False := sorry\nend A\ntheorem goal : Eq (Nat.add 1 1) 3 := A.propext.elim",
        methods=("axioms",),
    ),
    Attack(
        "own: False redeclared",
        "inductive A.False : Prop where | intro\nopen A\ntheorem goal : Eq (Nat.add 1 1) 3 := (A.False.intro).elim",
    ),
    Attack(
        "own: Eq hidden",
        "open Nat hiding add\ndef Eq' (a b : Nat) : Prop := True\ntheorem goal : Eq' (Nat.add 1 1) 3 := True.intro",
        methods=("type",),
    ),
    Attack(
        "own: renamed while opening",
        "namespace B\ndef two : Nat := 3\nend B\nopen B renaming two → three\ntheorem goal : Eq (Nat.add 1 1) three := sorry",
    ),
    Attack(
        "own: an alias by export",
        "namespace B\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl\nend B\nexport B (goal)",
        methods=("lexical", "type"),
    ),
    Attack(
        "own: a default argument",
        "theorem goal (h : optParam False (sorryAx _ Bool.true)) : Eq (Nat.add 1 1) 3 := h.elim",
        methods=("type", "axioms"),
    ),
    Attack(
        "own: an instance argument",
        "class Absurd : Prop where h : False\ntheorem goal [a : Absurd] : Eq (Nat.add 1 1) 3 := a.h.elim",
        methods=("type",),
    ),
    Attack(
        "own: an instance of a false class",
        "class Absurd : Prop where h : False\ninstance : Absurd := ⟨sorry⟩\ntheorem helper [a : Absurd] : Eq (Nat.add 1 1) 3 := a.h.elim\ntheorem goal : Eq (Nat.add 1 1) 3 := helper",
        methods=("axioms",),
    ),
    Attack(
        "own: numerals mean something else",
        "instance (n : Nat) : OfNat Nat n := ⟨2⟩\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl",
    ),
    Attack(
        "own: numerals by a default instance",
        "@[default_instance 2000] instance (priority := 2000) (n : Nat) : OfNat Nat n := ⟨2⟩\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl",
    ),
    Attack(
        "own: one universe only",
        "theorem goal {α : Type} (a : α) : Nonempty (PProd α PUnit.{1}) := ⟨⟨a, PUnit.unit⟩⟩",
        statement=POLYMORPHIC,
        methods=("type",),
    ),
    Attack(
        "own: Prop only", "theorem goal {α : Prop} (a b : α) : Eq a b := rfl", statement=UNIVERSAL, methods=("type",)
    ),
    Attack(
        "own: Sort for Prop", "theorem goal (p : Sort 1) : Nonempty p := sorry", statement=OF_FALSE, methods=("type",)
    ),
    Attack("own: autobound goal", "theorem goal : p := sorry", statement=OF_FALSE),
    Attack("own: implicit for explicit", "theorem goal {p : Prop} : p := sorry", statement=OF_FALSE),
    Attack("own: end of what is not open", "end\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry", methods=("compile",)),
    Attack(
        "own: section not closed",
        "section\nvariable (h : False)\ninclude h\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim",
        methods=("type",),
    ),
    Attack("own: import in the body", "theorem goal : Eq (Nat.add 1 1) 3 := sorry\nimport Evil"),
    Attack(
        "own: another prelude",
        "prelude\ninductive Eq : Nat → Nat → Prop where | a : Eq 2 3\ntheorem goal : Eq 2 3 := .a",
    ),
    Attack(
        "own: a file read",
        'theorem goal : Eq (Nat.add 1 1) 3 := absurd (include_str "/etc/passwd") sorry',
        methods=("lexical",),
    ),
    Attack("own: an open string", 'theorem goal : Eq (Nat.add 1 1) 3 := sorry\ndef s := "', methods=("compile",)),
    Attack("own: a NUL", "theorem goal : Eq (Nat.add 1 1) 3 := sorry\x00", methods=("lexical",)),
    Attack("own: a word split by a comment", "theorem goal : Eq (Nat.add 1 1) 3 := sor/- -/ry", methods=("compile",)),
    Attack(
        "own: a word in guillemets",
        "axiom «axiom» : False\ntheorem goal : Eq (Nat.add 1 1) 3 := «axiom».elim",
        methods=("lexical",),
    ),
    Attack(
        "own: an attribute that extends Lean",
        '@[extern "x"] def f : Nat := 1\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry',
        methods=("lexical",),
    ),
    Attack(
        "own: implemented_by",
        "def t : Nat := 1\n@[implemented_by t] def f : Nat := 2\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("lexical",),
    ),
    Attack("own: csimp", "attribute [csimp] rfl\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry", methods=("lexical",)),
    Attack(
        "own: an inductive that is not positive",
        "inductive Bad : Prop where | mk (f : Bad → False) : Bad\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("compile",),
    ),
    Attack(
        "own: elimination of a Prop into data",
        "theorem goal : Eq (Nat.add 1 1) 3 := (Or.rec (motive := fun _ => Nat) (fun _ => 2) (fun _ => 3) (Or.inl trivial) : Nat)",
        methods=("compile",),
    ),
    Attack(
        "own: Type in Type",
        "structure U : Type where (a : Type)\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("compile",),
    ),
    Attack(
        "own: structure eta",
        "structure W where (a : Nat)\ntheorem goal : Eq (Nat.add 1 1) 3 := (rfl : Eq (W.mk 2) ⟨2⟩)",
        methods=("compile",),
    ),
    Attack(
        "own: a wrong cast",
        "theorem goal : Eq (Nat.add 1 1) 3 := cast rfl (rfl : Eq (Nat.add 1 1) 2)",
        methods=("compile",),
    ),
    Attack(
        "own: not terminating",
        "theorem goal : Eq (Nat.add 1 1) 3 := (fix 0 : Eq (Nat.add 1 1) 3)\nwhere fix (n : Nat) : Eq (Nat.add 1 1) 3 := fix (Nat.succ n)",
        methods=("compile",),
    ),
    Attack(
        "own: choice of an empty type",
        "theorem goal : Eq (Nat.add 1 1) 3 := (Classical.choice ⟨sorry⟩ : False).elim",
        methods=("axioms",),
    ),
    Attack("own: the challenge by name", "theorem goal : Eq (Nat.add 1 1) 3 := challenge_goal", methods=("compile",)),
    Attack("own: bidirectional text", "theorem goal : Eq (Nat.add 1 1) \u202e3\u202c := sorry"),
    Attack("own: a name that looks the same", "theorem gоal : Eq (Nat.add 1 1) 2 := rfl"),  # a Cyrillic o
    Attack(
        "own: two theorems of the name",
        "theorem goal : Eq (Nat.add 1 1) 2 := rfl\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry",
        methods=("candidate",),
    ),
    Attack("own: proof and nothing else", "rfl", methods=("compile",)),
    Attack(
        "own: a proof that declares the goal", "sorry\ntheorem x : True := trivial", methods=("candidate", "axioms")
    ),
    Attack(
        "own: a literal beyond all bounds",
        "theorem goal : Eq (Nat.add 1 1) 3 := (rfl : Eq (Nat.mul 99999999999999999999999999 99999999999999999999999999) 1)",
    ),
    Attack("own: an unknown attribute", "@[my_attr] theorem goal : Eq (Nat.add 1 1) 3 := sorry", methods=("lexical",)),
    Attack(
        "own: a banned word in an interpolated string", 'theorem goal : p := s!"{by run_tac x}"', methods=("lexical",)
    ),
    Attack(
        "own: a banned word behind a string in a string",
        'theorem goal : p := s!"{f " " ++ by run_tac x}"',
        methods=("lexical",),
    ),
    Attack(
        "own: a banned word behind an operator and a comment sign",
        "theorem goal : p := a <--b; run_cmd x\nx",
        methods=("lexical",),
    ),
)


@dataclass(frozen=True)
class Honest:
    name: str
    statement: str
    text: str
    header: str = ""


HONEST = (
    Honest("a term alone", "theorem goal (p q : Prop) (h : And p q) : And q p := sorry", "⟨h.right, h.left⟩"),
    Honest("a whole theorem", "theorem goal : Eq (Nat.add 1 1) 2 := sorry", "theorem goal : Eq (Nat.add 1 1) 2 := rfl"),
    Honest("no binders, no proof", "theorem goal : Eq (Nat.add 1 1) 2", "theorem goal : Eq (Nat.add 1 1) 2 := rfl"),
    Honest("lemma for theorem", "theorem goal : True := sorry", "theorem goal : True := trivial"),
    Honest("behind :=", "theorem goal : True :=", ":= trivial"),
    Honest(
        "helper lemmas",
        "theorem goal (n : Nat) : Eq (Nat.add 0 n) n := sorry",
        "theorem step (n : Nat) (h : Eq (Nat.add 0 n) n) : Eq (Nat.add 0 (Nat.succ n)) (Nat.succ n) :=\n  congrArg Nat.succ h\n\n"
        "theorem goal (n : Nat) : Eq (Nat.add 0 n) n := n.rec rfl step",
    ),
    Honest(
        "by pattern matching",
        "theorem goal : (n : Nat) → Eq (Nat.add 0 n) n := sorry",
        "  | .zero => rfl\n  | .succ n => congrArg Nat.succ (goal n)",
    ),
    Honest(
        "a match",
        "theorem goal (p q : Prop) (h : Or p q) : Or q p := sorry",
        "match h with\n| .inl a => .inr a\n| .inr b => .inl b",
    ),
    Honest("classical", "theorem goal (p q : Prop) (h : Iff p q) : Eq p q := sorry", "propext h"),
    Honest(
        "choice",
        "theorem goal (α : Type) (h : Nonempty α) : Exists (fun _ : α => True) := sorry",
        "⟨Classical.choice h, trivial⟩",
    ),
    Honest("implicit binders", "theorem goal {p q : Prop} (h : p) : Or p q := sorry", ".inl h"),
    Honest("instance binders", "theorem goal {α : Type} [i : Inhabited α] : Nonempty α := sorry", "⟨i.default⟩"),
    Honest("strict implicit binders", "theorem goal (p : Prop) : ∀ ⦃h : p⦄, p := sorry", "fun h => h"),
    Honest("universes", "theorem goal.{u} {α : Sort u} (a b : α) (h : Eq a b) : Eq b a := sorry", "h.symm"),
    Honest("universes by themselves", "theorem goal {α : Sort u} (a b : α) (h : Eq a b) : Eq b a := sorry", "h.symm"),
    Honest(
        "other names of universes",
        "theorem goal.{u} {α : Sort u} (a b : α) (h : Eq a b) : Eq b a := sorry",
        "theorem goal.{v} {β : Sort v} (a b : β) (h : Eq a b) : Eq b a := h.symm",
    ),
    Honest("a level without a name", "theorem goal {α : Sort _} (a : α) : Eq a a := sorry", "rfl"),
    Honest(
        "a dotted name",
        "theorem Nat.goal (n : Nat) : Eq (succ n) (succ n) := sorry",
        "theorem Nat.goal (n : Nat) : Eq (succ n) (succ n) := rfl",
    ),
    Honest("a unicode name", "theorem tausch_ä₁ (h : False) : True := sorry", "trivial"),
    Honest("a name in guillemets", "theorem «my goal» : True := sorry", "theorem «my goal» : True := trivial"),
    Honest("a default argument in the statement", "theorem goal (n : Nat := 3) : Eq n n := sorry", "rfl"),
    Honest("let in the type", "theorem goal : let x := 1; Eq x 1 := sorry", "rfl"),
    Honest(
        "a header with variables", "theorem goal (h : And p q) : p := sorry", "h.left", header="variable (p q : Prop)"
    ),
    Honest(
        "a header with a namespace",
        "theorem goal : Eq two 2 := sorry",
        "rfl",
        header="namespace My\ndef two : Nat := 2",
    ),
    Honest(
        "a response with the header's definitions",
        "theorem goal : Eq two 2 := sorry",
        "import MiniPrelude\ndef two : Nat := 2\n\ntheorem goal : Eq two 2 := rfl",
        header="import MiniPrelude\ndef two : Nat := 2",
    ),
    Honest(
        "a namespace that the response closes",
        "theorem goal : True := sorry",
        "namespace My\n\ntheorem goal : True := trivial\n\nend My",
        header="namespace My\n",
    ),
    Honest(
        "open in",
        "open Nat in\ntheorem goal (n : Nat) : Eq (succ n) (succ n) := sorry",
        "open Nat in\ntheorem goal (n : Nat) : Eq (succ n) (succ n) := rfl",
    ),
    Honest(
        "a docstring that names banned words",
        "/-- No macro, no axiom, no #eval. -/\ntheorem goal : True := sorry",
        "/-- notation -/\ntheorem goal : True := trivial -- run_cmd",
    ),
    Honest(
        "attributes",
        "theorem goal : True := sorry",
        "@[simp] theorem other : True := trivial\n@[reducible] def f : Nat := 1\ntheorem goal : True := other",
    ),
    Honest(
        "a class and an instance of its own",
        "theorem goal : Nonempty Nat := sorry",
        "class Has (α : Type) where a : α\ninstance : Has Nat := ⟨1⟩\ntheorem goal : Nonempty Nat := ⟨Has.a⟩",
    ),
    Honest(
        "variables of its own",
        "theorem goal (p : Prop) (h : p) : p := sorry",
        "variable (p : Prop)\ntheorem goal (h : p) : p := h",
    ),
    Honest(
        "the statement in other words",
        "theorem goal (p q : Prop) (h : p) : Or p q := sorry",
        "theorem goal : ∀ (a b : Prop), a → Or a b := fun _ _ h => .inl h",
    ),
    Honest(
        "a definition unfolded",
        "theorem goal (p : Prop) (h : p) (k : Not p) : False := sorry",
        "theorem goal (p : Prop) (h : p) (k : p → False) : False := k h",
    ),
    Honest("a section left open", "theorem goal : True := sorry", "section\ntheorem goal : True := trivial"),
    Honest(
        "mutual helpers",
        "theorem goal : True := sorry",
        "inductive T where | leaf | node (a b : T)\ndef T.id : T → T\n  | .leaf => .leaf\n  | .node a b => .node a.id b.id\ntheorem goal : True := trivial",
    ),
    Honest("a local proof", "theorem goal (p q : Prop) (h : And p q) : q := sorry", "have k := h.right; show q from k"),
    Honest(
        "where",
        "theorem goal (p : Prop) (h : p) : p := sorry",
        "theorem goal (p : Prop) (h : p) : p := k h\nwhere k : p → p := fun x => x",
    ),
)
