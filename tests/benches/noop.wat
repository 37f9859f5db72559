;; A filter that keeps all, and reads `user_id` (presence) and `event_type` (text). Its answers lie at fixed places.
(module
  (memory (export "memory") 32)
  (global $top (mut i32) (i32.const 0x10000))

  ;; Arguments are put one behind the other, and forgotten when the call has returned.
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (local.get $at))

  (func (export "tidegate:plugin/plugin@0.1.0#describe") (result i32) (i32.const 128))
  (func (export "tidegate:plugin/plugin@0.1.0#configure") (param i32 i32) (result i32) (i32.const 192))

  (func (export "tidegate:plugin/filter@0.1.0#filter") (param $rows i32) (param i32 i32) (result i32)
    (memory.fill (i32.const 1024) (i32.const 1) (local.get $rows))
    (i32.store (i32.const 228) (local.get $rows))
    (i32.const 224))
  (func (export "cabi_post_tidegate:plugin/filter@0.1.0#filter") (param i32)
    (global.set $top (i32.const 0x10000)))

  (data (i32.const 64) "no-op")
  (data (i32.const 80) "1.0.0")
  (data (i32.const 96) "user_id")
  (data (i32.const 112) "event_type")
  ;; identity: name, version, no schema
  (data (i32.const 128) "\40\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00")
  ;; fields: path, kind, required
  (data (i32.const 160) "\60\00\00\00\07\00\00\00\00\00\00\00\70\00\00\00\0a\00\00\00\04\00\00\00")
  ;; ok, two fields to read, none to write
  (data (i32.const 192) "\00\00\00\00\a0\00\00\00\02\00\00\00")
  ;; verdicts: the keep bytes at 1024, no rejections
  (data (i32.const 224) "\00\04\00\00"))
