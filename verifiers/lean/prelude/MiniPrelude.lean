/-
The library that the bundled kernel has in place of `Init`: what the elaborator looks for by name, and a few lemmas.
Names, arguments and meanings are those of Lean's own `Init`; there are no tactics and no notation.
-/
prelude
set_option autoImplicit false
universe u v w
unsafe axiom lcErased : Type
unsafe axiom lcProof {α : Prop} : α
unsafe axiom lcAny : Type
unsafe axiom lcVoid : Type
set_option bootstrap.inductiveCheckResultingUniverse false in
inductive PUnit : Sort u where | unit : PUnit
abbrev Unit : Type := PUnit
abbrev Unit.unit : Unit := PUnit.unit
structure PProd (α : Sort u) (β : Sort v) where (fst : α) (snd : β)
structure Prod (α : Type u) (β : Type v) where (fst : α) (snd : β)
structure PULift.{r, s} (α : Sort s) : Sort (max s 1 r) where up :: (down : α)
@[reducible] def optParam (α : Sort u) (_default : α) : Sort u := α
def id {α : Sort u} (a : α) : α := a
def Function.const {α : Sort u} (β : Sort v) (a : α) : β → α := fun _ => a
def Function.comp {α : Sort u} {β : Sort v} {δ : Sort w} (f : β → δ) (g : α → β) : α → δ := fun x => f (g x)
inductive True : Prop where | intro : True
inductive False : Prop
theorem trivial : True := True.intro
def Not (a : Prop) : Prop := a → False
def False.elim {C : Sort u} (h : False) : C := h.rec
def absurd {a : Prop} {b : Sort v} (h₁ : a) (h₂ : Not a) : b := (h₂ h₁).rec
inductive Eq {α : Sort u} : α → α → Prop where | refl (a : α) : Eq a a
abbrev Eq.ndrec.{u1, u2} {α : Sort u2} {a : α} {motive : α → Sort u1} (m : motive a) {b : α} (h : Eq a b) :
    motive b := h.rec m
@[match_pattern] abbrev rfl {α : Sort u} {a : α} : Eq a a := Eq.refl a
theorem Eq.subst {α : Sort u} {motive : α → Prop} {a b : α} (h₁ : Eq a b) (h₂ : motive a) : motive b := Eq.ndrec h₂ h₁
theorem Eq.symm {α : Sort u} {a b : α} (h : Eq a b) : Eq b a := h.rec (Eq.refl a)
theorem Eq.trans {α : Sort u} {a b c : α} (h₁ : Eq a b) (h₂ : Eq b c) : Eq a c := h₂.rec h₁
def cast {α β : Sort u} (h : Eq α β) (a : α) : β := h.rec a
theorem congrArg {α : Sort u} {β : Sort v} {a b : α} (f : α → β) (h : Eq a b) : Eq (f a) (f b) := h.rec (Eq.refl _)
inductive HEq {α : Sort u} : α → {β : Sort u} → β → Prop where | refl (a : α) : HEq a a
theorem heq_of_eq {α : Sort u} {a a' : α} (h : Eq a a') : HEq a a' := h.rec (HEq.refl a)
theorem eq_of_heq {α : Sort u} {a a' : α} (h : HEq a a') : Eq a a' :=
  (fun (β : Sort u) (b : β) (k : HEq a b) => k.rec (motive := fun {γ : Sort u} (c : γ) _ =>
    (e : Eq α γ) → Eq (cast e a) c) (fun _ => Eq.refl a)) α a' h (Eq.refl α)
structure And (a b : Prop) : Prop where intro :: (left : a) (right : b)
inductive Or (a b : Prop) : Prop where | inl (h : a) : Or a b | inr (h : b) : Or a b
theorem Or.elim {a b c : Prop} (h : Or a b) (left : a → c) (right : b → c) : c := h.rec left right
structure Iff (a b : Prop) : Prop where intro :: (mp : a → b) (mpr : b → a)
inductive Exists {α : Sort u} (p : α → Prop) : Prop where | intro (w : α) (h : p w) : Exists p
theorem Exists.elim {α : Sort u} {p : α → Prop} {b : Prop} (h : Exists p) (k : (a : α) → p a → b) : b := h.rec k
inductive Bool : Type where | false : Bool | true : Bool
def cond {α : Sort u} (c : Bool) (x y : α) : α :=
  match c with
  | Bool.true => x
  | Bool.false => y
class inductive Decidable (p : Prop) where | isFalse (h : Not p) : Decidable p | isTrue (h : p) : Decidable p
noncomputable def dite {α : Sort u} (c : Prop) [h : Decidable c] (t : c → α) (e : Not c → α) : α := h.rec e t
noncomputable def ite {α : Sort u} (c : Prop) [h : Decidable c] (t e : α) : α := h.rec (fun _ => e) (fun _ => t)
class inductive Nonempty (α : Sort u) : Prop where | intro (val : α) : Nonempty α
class Inhabited (α : Sort u) where default : α
axiom propext {a b : Prop} : Iff a b → Eq a b
theorem eq_true {p : Prop} (h : p) : Eq p True := propext ⟨fun _ => trivial, fun _ => h⟩
theorem eq_false {p : Prop} (h : Not p) : Eq p False := propext ⟨h, False.elim⟩
axiom Classical.choice {α : Sort u} : Nonempty α → α
axiom sorryAx (α : Sort u) (synthetic : Bool) : α
set_option genCtorIdx false in
inductive Nat where | zero : Nat | succ (n : Nat) : Nat
class OfNat (α : Type u) (_ : Nat) where ofNat : α
@[default_instance 100] instance instOfNatNat (n : Nat) : OfNat Nat n := ⟨n⟩
@[extern "lean_nat_pred"] def Nat.pred (n : Nat) : Nat := n.rec Nat.zero (fun m _ => m)
noncomputable def Nat.isSucc (n : Nat) : Prop := n.rec False (fun _ _ => True)
theorem Nat.succ_ne_zero (n : Nat) (h : Eq (Nat.succ n) Nat.zero) : False :=
  Eq.subst (motive := Nat.isSucc) h True.intro
@[extern "lean_nat_dec_eq"] def Nat.decEq (n m : Nat) : Decidable (Eq n m) :=
  n.rec (motive := fun n => (m : Nat) → Decidable (Eq n m))
    (fun m => m.rec (motive := fun m => Decidable (Eq Nat.zero m)) (.isTrue rfl)
      (fun k _ => .isFalse fun h => k.succ_ne_zero h.symm))
    (fun n ih m => m.rec (motive := fun m => Decidable (Eq (Nat.succ n) m)) (.isFalse n.succ_ne_zero) (fun m _ =>
      (ih m).rec (fun k => .isFalse fun h => k (congrArg Nat.pred h)) (fun k => .isTrue (congrArg Nat.succ k)))) m
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_add"] protected def Nat.add : (n m : Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.succ (Nat.add n m)
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_sub"] protected def Nat.sub : (n m : Nat) → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.pred (Nat.sub n m)
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_mul"] protected def Nat.mul : (n m : Nat) → Nat
  | _, Nat.zero => Nat.zero
  | n, Nat.succ m => Nat.add (Nat.mul n m) n
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_le"] def Nat.ble : (n m : Nat) → Bool
  | Nat.zero, _ => Bool.true
  | Nat.succ _, Nat.zero => Bool.false
  | Nat.succ n, Nat.succ m => Nat.ble n m
inductive Nat.le (n : Nat) : Nat → Prop where | refl : Nat.le n n | step {m : Nat} (h : Nat.le n m) : Nat.le n m.succ
inductive List (α : Type u) where | nil : List α | cons (head : α) (tail : List α) : List α
structure Char where val : Nat
structure String where data : List Char
inductive Lean.Name where | anonymous | str (p : Lean.Name) (s : String) | num (p : Lean.Name) (n : Nat)
