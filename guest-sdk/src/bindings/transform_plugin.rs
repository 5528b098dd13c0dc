#[allow(unused_macros)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_transform_plugin_impl {
    ($ty:ident) => {
        self::export_transform_plugin!($ty with_types_in self);
    };
    ($ty:ident with_types_in $($path_to_types_root:tt)*) => {
        $($path_to_types_root)*::
        exports::azora::plugin::describe::__export_azora_plugin_describe_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::azora::plugin::describe);
        $($path_to_types_root)*::
        exports::azora::plugin::transform::__export_azora_plugin_transform_0_1_0_cabi!($ty
        with_types_in $($path_to_types_root)*:: exports::azora::plugin::transform); const
        _ : () = { #[rustfmt::skip] #[cfg(target_arch = "wasm32")] #[unsafe (link_section
        =
        "component-type:wit-bindgen:0.61.1:azora:plugin@0.1.0:transform-plugin:imports and exports")]
        #[doc(hidden)] #[allow(clippy::octal_escapes)] pub static
        __WIT_BINDGEN_COMPONENT_TYPE : [u8; 2146] = *
        b"\
\0asm\x0d\0\x01\0\0\x19\x16wit-component-encoding\x04\0\x07\xdb\x0f\x01A\x02\x01\
A\x0e\x01B\x04\x01m\x05\x05trace\x05debug\x04info\x04warn\x05error\x04\0\x05leve\
l\x03\0\0\x01@\x02\x05level\x01\x04texts\x01\0\x04\0\x03log\x01\x02\x03\0\x16azo\
ra:plugin/log@0.1.0\x05\0\x01B\x1d\x01m\x04\x06second\x0bmillisecond\x0bmicrosec\
ond\x0ananosecond\x04\0\x09time-unit\x03\0\0\x01m\x03\x0ayear-month\x08day-time\x0e\
month-day-nano\x04\0\x0dinterval-unit\x03\0\x02\x01r\x02\x09precision}\x05scale~\
\x04\0\x0cdecimal-type\x03\0\x04\x01ks\x01r\x02\x04unit\x01\x04zone\x06\x04\0\x0e\
timestamp-type\x03\0\x07\x01q\x1f\x04null\0\0\x07boolean\0\0\x04int8\0\0\x05int1\
6\0\0\x05int32\0\0\x05int64\0\0\x05uint8\0\0\x06uint16\0\0\x06uint32\0\0\x06uint\
64\0\0\x07float16\0\0\x07float32\0\0\x07float64\0\0\x0adecimal128\x01\x05\0\x06d\
ate32\0\0\x06date64\0\0\x06time32\x01\x01\0\x06time64\x01\x01\0\x09timestamp\x01\
\x08\0\x08duration\x01\x01\0\x08interval\x01\x03\0\x04utf8\0\0\x0alarge-utf8\0\0\
\x06binary\0\0\x0clarge-binary\0\0\x11fixed-size-binary\x01y\0\x06struct\0\0\x08\
var-list\0\0\x0elarge-var-list\0\0\x0ffixed-size-list\x01y\0\x0dkey-value-map\x01\
\x7f\0\x04\0\x09data-type\x03\0\x09\x01r\x02\x03keys\x05values\x04\0\x0emetadata\
-entry\x03\0\x0b\x01p\x0c\x01r\x05\x04names\x09data-type\x0a\x08nullable\x7f\x08\
childreny\x08metadata\x0d\x04\0\x05field\x03\0\x0e\x01p\x0f\x01r\x02\x06fields\x10\
\x08metadata\x0d\x04\0\x06schema\x03\0\x11\x01r\x02\x06lengthw\x0anull-countw\x04\
\0\x0afield-node\x03\0\x13\x01p\x14\x01p}\x01p\x16\x01r\x03\x04rowsw\x05nodes\x15\
\x07buffers\x17\x04\0\x0crecord-batch\x03\0\x18\x01py\x01q\x03\x03all\0\0\x06bit\
map\x01\x16\0\x07indices\x01\x1a\0\x04\0\x09rows-kept\x03\0\x1b\x03\0\x1eazora:p\
lugin/batch-types@0.1.0\x05\x01\x01B\x05\x01m\x06\x0dinvalid-input\x0bunsupporte\
d\x08overflow\x04user\x08internal\x09retryable\x04\0\x0cfailure-code\x03\0\0\x01\
kw\x01r\x03\x04code\x01\x07messages\x03row\x02\x04\0\x07failure\x03\0\x03\x03\0\x1b\
azora:plugin/failures@0.1.0\x05\x02\x02\x03\0\x01\x06schema\x01B\x13\x02\x03\x02\
\x01\x03\x04\0\x06schema\x03\0\0\x01m\x05\x03map\x06filter\x08flat-map\x0emap-pa\
rtitions\x09aggregate\x04\0\x0dfunction-kind\x03\0\x02\x01m\x05\x0bhttp-client\x05\
clock\x06random\x09key-value\x07secrets\x04\0\x0acapability\x03\0\x04\x01r\x06\x04\
names\x04kind\x03\x03docs\x06params\x01\x06output\x01\x0dconfig-schemas\x04\0\x08\
function\x03\0\x06\x01m\x02\x06source\x04sink\x04\0\x0econnector-kind\x03\0\x08\x01\
r\x04\x04names\x04kind\x09\x03docs\x0dconfig-schemas\x04\0\x09connector\x03\0\x0a\
\x01p\x07\x01p\x0b\x01p\x05\x01r\x06\x04names\x07versions\x03docs\x09functions\x0c\
\x0aconnectors\x0d\x0ccapabilities\x0e\x04\0\x08manifest\x03\0\x0f\x01@\0\0\x10\x04\
\0\x08describe\x01\x11\x04\0\x1bazora:plugin/describe@0.1.0\x05\x04\x02\x03\0\x01\
\x0crecord-batch\x02\x03\0\x01\x09rows-kept\x02\x03\0\x02\x07failure\x01B\x1c\x02\
\x03\x02\x01\x03\x04\0\x06schema\x03\0\0\x02\x03\x02\x01\x05\x04\0\x0crecord-bat\
ch\x03\0\x02\x02\x03\x02\x01\x06\x04\0\x09rows-kept\x03\0\x04\x02\x03\x02\x01\x07\
\x04\0\x07failure\x03\0\x06\x01r\x02\x05inputy\x04names\x04\0\x0dpassed-column\x03\
\0\x08\x01q\x02\x04made\x01y\0\x06passed\x01\x09\0\x04\0\x06column\x03\0\x0a\x01\
p\x0b\x01py\x01r\x04\x04made\x01\x07columns\x0c\x05needs\x0d\x0abatch-rowsy\x04\0\
\x04plan\x03\0\x0e\x01r\x02\x05batch\x03\x04kept\x05\x04\0\x06output\x03\0\x10\x01\
j\x01\x0f\x01\x07\x01@\x03\x08functions\x05input\x01\x06configs\0\x12\x04\0\x04o\
pen\x01\x13\x01j\x01\x11\x01\x07\x01@\x01\x05batch\x03\0\x14\x04\0\x07process\x01\
\x15\x01k\x03\x01j\x01\x16\x01\x07\x01@\0\0\x17\x04\0\x06finish\x01\x18\x04\0\x1c\
azora:plugin/transform@0.1.0\x05\x08\x04\0#azora:plugin/transform-plugin@0.1.0\x04\
\0\x0b\x16\x01\0\x10transform-plugin\x03\0\0\0G\x09producers\x01\x0cprocessed-by\
\x02\x0dwit-component\x070.258.0\x10wit-bindgen-rust\x060.61.1";
        };
    };
}
#[doc(inline)]
pub use __export_transform_plugin_impl as export_transform_plugin;
