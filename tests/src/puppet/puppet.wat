;; What all puppets have; see `puppet.rs`. A script is a deed (16 bits), the function that does it (16 bits), the address that is
;; answered (32 bits), and what else the answer is made of. It is copied to IMAGE, and its addresses are meant to be there.

(global $top (mut i32) (i32.const HEAP))
;; What the next allocations answer, beside where they are.
(global $lie (mut i32) (i32.const 0))

(func $alloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (i32.add (local.get $at) (global.get $lie)))

(func $deep (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (call $deep (local.get 0))))

;; Calls itself so often, then spins or traps at one of many sites: no two records need have the same stack.
(func $spin_at (param $depth i32) (param $site i32)
    (if (local.get $depth)
        (then (call $spin_at (i32.sub (local.get $depth) (i32.const 1)) (local.get $site)) (return)))
    SPIN_SITES)
(func $trap_at (param $depth i32) (param $site i32)
    (if (local.get $depth)
        (then (call $trap_at (i32.sub (local.get $depth) (i32.const 1)) (local.get $site)) (return)))
    TRAP_SITES)

;; What a script says: the address that is answered, or 0 where the usual answer is wanted.
(func $perform (param $script i32) (param $len i32) (result i32)
    (local $deed i32)
    (memory.copy (i32.const IMAGE) (local.get $script) (local.get $len))
    (local.set $deed (i32.load16_u (i32.const IMAGE)))
    (if (i32.eq (local.get $deed) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $deed) (i32.const 2)) (then (loop (br 0))))
    (if (i32.eq (local.get $deed) (i32.const 3)) (then (drop (call $deep (i32.const 0)))))
    (if (i32.eq (local.get $deed) (i32.const 4))
        (then (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))
    (if (i32.eq (local.get $deed) (i32.const 5)) (then (drop (i32.load (i32.const -4)))))
    (if (i32.eq (local.get $deed) (i32.const 6))
        (then (loop (call $log (i32.const 2) (i32.const WORDS) (i32.const WORDS_LEN)) (br 0))))
    (if (i32.eq (local.get $deed) (i32.const 7)) (then
        (memory.fill (i32.const ZEROS) (i32.const 120) (i32.const ZEROS_LEN))
        (call $log (i32.const 2) (i32.const ZEROS) (i32.const ZEROS_LEN))
        (memory.fill (i32.const ZEROS) (i32.const 0) (i32.const ZEROS_LEN))
        (return (i32.const 0))))
    (if (i32.eq (local.get $deed) (i32.const 8))
        (then (drop (memory.grow (i32.const 1))) (return (i32.const 0))))
    (if (i32.eq (local.get $deed) (i32.const 9))
        (then (global.set $lie (i32.load offset=4 (i32.const IMAGE))) (return (i32.const 0))))
    (if (i32.eq (local.get $deed) (i32.const 10))
        (then (call $log (i32.const 3) (i32.const WORDS) (i32.const WORDS_LEN)) unreachable))
    (if (i32.eq (local.get $deed) (i32.const 11)) (then (call $log (i32.const 9) (i32.const 0) (i32.const 1))))
    (if (i32.eq (local.get $deed) (i32.const 12)) (then (call $log (i32.const 1) (i32.const -9) (i32.const 8))))
    (if (i32.eq (local.get $deed) (i32.const 13)) (then (call $spin_at
        (i32.and (i32.load offset=4 (i32.const IMAGE)) (i32.const 15))
        (i32.shr_u (i32.load offset=4 (i32.const IMAGE)) (i32.const 4)))))
    (if (i32.eq (local.get $deed) (i32.const 14)) (then (call $trap_at
        (i32.and (i32.load offset=4 (i32.const IMAGE)) (i32.const 15))
        (i32.shr_u (i32.load offset=4 (i32.const IMAGE)) (i32.const 4)))))
    (if (i32.eq (local.get $deed) (i32.const 15)) (then
        (local.set $deed (i32.load offset=4 (i32.const IMAGE)))
        (loop (br_if 0 (local.tee $deed (i32.sub (local.get $deed) (i32.const 1)))))
        (return (i32.const 0))))
    (i32.load offset=4 (i32.const IMAGE)))

;; Value `$at` of slices: where it is, and how long.
(func $begin (param $offsets i32) (param $at i32) (result i32)
    (i32.load (i32.add (local.get $offsets) (i32.mul (local.get $at) (i32.const 4)))))
(func $length (param $offsets i32) (param $at i32) (result i32)
    (i32.sub (call $begin (local.get $offsets) (i32.add (local.get $at) (i32.const 1)))
        (call $begin (local.get $offsets) (local.get $at))))

;; Does the scripts of slices that are for this function, until one has an answer; each begins `$skip` bytes after a value's begin.
(func $perform_first
    (param $offsets i32) (param $bytes i32) (param $count i32) (param $skip i32) (param $when i32) (result i32)
    (local $at i32) (local $script i32) (local $len i32) (local $answer i32)
    (block $done
        (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
            (local.set $len (i32.sub (call $length (local.get $offsets) (local.get $at)) (local.get $skip)))
            (local.set $script (i32.add (i32.add (local.get $bytes) (local.get $skip))
                (call $begin (local.get $offsets) (local.get $at))))
            (if (i32.ge_s (local.get $len) (i32.const 8))
                (then (if (i32.eq (i32.load16_u offset=2 (local.get $script)) (local.get $when))
                    (then
                        (local.set $answer (call $perform (local.get $script) (local.get $len)))
                        (if (local.get $answer) (then (return (local.get $answer))))))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
    (i32.const 0))

(func $list (param $at i32) (param $pointer i32) (param $len i32)
    (i32.store (local.get $at) (local.get $pointer))
    (i32.store offset=4 (local.get $at) (local.get $len)))
