;; The functions of an aggregate for tests; see `tally` in aggregate.rs. Lists are a pointer and a length.

;; Writes states of the old lengths and one byte more for each row of their group that is not rejected. Traps on 7.
(func (export "tidegate:plugin/aggregate@0.1.0#accumulate")
    (param $offsets i32) (param $count i32) (param $bytes i32) (param $len i32)
    (param $groups i32) (param $group_count i32) (param $rows i32) (param $columns i32) (param $column_count i32)
    (result i32)
    (local $answer i32) (local $out_offsets i32) (local $out i32) (local $end i32)
    (local $group i32) (local $row i32) (local $old i32) (local $rejected i32) (local $rejections i32) (local $bad i32)
    (local.set $bad (i32.load offset=4 (local.get $columns)))
    (local.set $answer (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 24)))
    (local.set $out_offsets (call $alloc (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.mul (local.get $count) (i32.const 4))))
    (local.set $rejections (call $alloc (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.mul (local.get $rows) (i32.const 12))))
    (local.set $out (call $alloc (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.add (local.get $len) (local.get $rows))))
    (i32.store (local.get $out_offsets) (i32.const 0))
    (block $done
        (loop $next
            (br_if $done (i32.eq (i32.add (local.get $group) (i32.const 1)) (local.get $count)))
            (local.set $old (i32.sub
                (i32.load offset=4 (i32.add (local.get $offsets) (i32.mul (local.get $group) (i32.const 4))))
                (i32.load (i32.add (local.get $offsets) (i32.mul (local.get $group) (i32.const 4))))))
            (memory.fill (i32.add (local.get $out) (local.get $end)) (i32.const 120) (local.get $old))
            (local.set $end (i32.add (local.get $end) (local.get $old)))
            (local.set $row (i32.const 0))
            (block $added
                (loop $add
                    (br_if $added (i32.eq (local.get $row) (local.get $rows)))
                    (if (i32.eq (local.get $group)
                            (i32.load (i32.add (local.get $groups) (i32.mul (local.get $row) (i32.const 4)))))
                        (then
                            (if (i32.eq (i32.const 7) (i32.load8_u (i32.add (local.get $bad) (local.get $row))))
                                (then unreachable))
                            (if (i32.load8_u (i32.add (local.get $bad) (local.get $row)))
                                (then
                                    (call $reject
                                        (i32.add (local.get $rejections)
                                            (i32.mul (local.get $rejected) (i32.const 12)))
                                        (local.get $row))
                                    (local.set $rejected (i32.add (local.get $rejected) (i32.const 1))))
                                (else
                                    (i32.store8 (i32.add (local.get $out) (local.get $end)) (i32.const 120))
                                    (local.set $end (i32.add (local.get $end) (i32.const 1)))))))
                    (local.set $row (i32.add (local.get $row) (i32.const 1)))
                    (br $add)))
            (i32.store offset=4 (i32.add (local.get $out_offsets) (i32.mul (local.get $group) (i32.const 4)))
                (local.get $end))
            (local.set $group (i32.add (local.get $group) (i32.const 1)))
            (br $next)))
    (call $list (local.get $answer) (local.get $out_offsets) (local.get $count))
    (call $list (i32.add (local.get $answer) (i32.const 8)) (local.get $out) (local.get $end))
    (call $list (i32.add (local.get $answer) (i32.const 16)) (local.get $rejections) (local.get $rejected))
    (local.get $answer))
(func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#accumulate") (param i32)
    (global.set $top (i32.const 0x100000)))

;; The bytes of a state do not matter, so the sums of the offsets and enough bytes will do. Traps on a left state of 7.
(func (export "tidegate:plugin/aggregate@0.1.0#merge")
    (param $left i32) (param $count i32) (param i32) (param $left_len i32)
    (param $right i32) (param i32) (param i32) (param $right_len i32) (result i32)
    (local $answer i32) (local $out i32) (local $at i32)
    (block $checked
        (loop $check
            (br_if $checked (i32.ge_u (i32.add (local.get $at) (i32.const 4)) (i32.mul (local.get $count) (i32.const 4))))
            (if (i32.eq (i32.const 7) (i32.sub
                    (i32.load offset=4 (i32.add (local.get $left) (local.get $at)))
                    (i32.load (i32.add (local.get $left) (local.get $at)))))
                (then unreachable))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $check)))
    (local.set $at (i32.const 0))
    (local.set $answer (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 16)))
    (local.set $out (call $alloc (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.add (local.get $left_len) (local.get $right_len))))
    (memory.fill (local.get $out) (i32.const 120) (i32.add (local.get $left_len) (local.get $right_len)))
    (loop $next
        (i32.store (i32.add (local.get $left) (local.get $at)) (i32.add
            (i32.load (i32.add (local.get $left) (local.get $at)))
            (i32.load (i32.add (local.get $right) (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $next (i32.ne (local.get $at) (i32.mul (local.get $count) (i32.const 4)))))
    (call $list (local.get $answer) (local.get $left) (local.get $count))
    (call $list (i32.add (local.get $answer) (i32.const 8)) (local.get $out)
        (i32.add (local.get $left_len) (local.get $right_len)))
    (local.get $answer))
(func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#merge") (param i32)
    (global.set $top (i32.const 0x100000)))

(func (export "tidegate:plugin/aggregate@0.1.0#emit")
    (param $offsets i32) (param $count i32) (param i32 i32)
    (param $rows i32) (param i32 i32) (result i32)
    (local $answer i32) (local $column i32) (local $values i32) (local $rejections i32) (local $rejected i32)
    (local $row i32) (local $len i32)
    (local.set $answer (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 28)))
    (local.set $column (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 28)))
    (local.set $values (call $alloc (i32.const 0) (i32.const 0) (i32.const 8)
        (i32.mul (local.get $rows) (i32.const 8))))
    (local.set $rejections (call $alloc (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.mul (local.get $rows) (i32.const 12))))
    (block $done
        (loop $next
            (br_if $done (i32.eq (local.get $row) (local.get $rows)))
            (local.set $len (i32.sub
                (i32.load offset=4 (i32.add (local.get $offsets) (i32.mul (local.get $row) (i32.const 4))))
                (i32.load (i32.add (local.get $offsets) (i32.mul (local.get $row) (i32.const 4))))))
            (i64.store (i32.add (local.get $values) (i32.mul (local.get $row) (i32.const 8)))
                (i64.extend_i32_u (local.get $len)))
            (if (i32.eqz (local.get $len))
                (then
                    (call $reject
                        (i32.add (local.get $rejections) (i32.mul (local.get $rejected) (i32.const 12)))
                        (local.get $row))
                    (local.set $rejected (i32.add (local.get $rejected) (i32.const 1)))))
            (local.set $row (i32.add (local.get $row) (i32.const 1)))
            (br $next)))
    (memory.fill (local.get $answer) (i32.const 0) (i32.const 28))
    (memory.fill (local.get $column) (i32.const 0) (i32.const 28))
    (i32.store (local.get $column) (i32.const 2))
    (call $list (i32.add (local.get $column) (i32.const 4)) (local.get $values) (local.get $rows))
    (call $list (i32.add (local.get $answer) (i32.const 12)) (local.get $column) (i32.const 1))
    (call $list (i32.add (local.get $answer) (i32.const 20)) (local.get $rejections) (local.get $rejected))
    (local.get $answer))
(func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#emit") (param i32)
    (global.set $top (i32.const 0x100000)))

(func (export "tidegate:plugin/aggregate@0.1.0#migrate")
    (param i32 i32) (param $version i32)
    (param $offsets i32) (param $count i32) (param $bytes i32) (param $len i32) (result i32)
    (local $answer i32)
    (local.set $answer (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 20)))
    (if (i32.eqz (local.get $version))
        (then
            (i32.store (local.get $answer) (i32.const 1))
            (call $list (i32.add (local.get $answer) (i32.const 4)) NO))
        (else
            (i32.store (local.get $answer) (i32.const 0))
            (call $list (i32.add (local.get $answer) (i32.const 4)) (local.get $offsets) (local.get $count))
            (call $list (i32.add (local.get $answer) (i32.const 12)) (local.get $bytes) (local.get $len))))
    (local.get $answer))
(func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#migrate") (param i32)
    (global.set $top (i32.const 0x100000)))

(func $list (param $at i32) (param $pointer i32) (param $len i32)
    (i32.store (local.get $at) (local.get $pointer))
    (i32.store offset=4 (local.get $at) (local.get $len)))

(func $reject (param $at i32) (param $row i32)
    (i32.store (local.get $at) (local.get $row))
    (call $list (i32.add (local.get $at) (i32.const 4)) NO))
