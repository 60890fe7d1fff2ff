# SPDX-License-Identifier: Apache-2.0
"""Random small configurations of model families, for differential.py.

`make(family, rng)` gives the keyword arguments of the family's configuration class. Most keys mean the same in every family and are
drawn from what the class declares; SPECIAL holds what is a family's own."""
import dataclasses

from transformers import CONFIG_MAPPING

MAX_POSITIONS = 128


def declared(family):
    return {f.name for f in dataclasses.fields(CONFIG_MAPPING[family])}


def half(rng):
    return rng.random() < 0.5


ROPE_KINDS = ["default", "default", "linear", "dynamic", "yarn", "yarn", "llama3", "longrope"]


def rope_parameters(rng, dim, context, kinds=ROPE_KINDS):
    """One set of rotary parameters. `dim`: rotated values of a head."""
    kind = rng.choice(kinds)
    r = {"rope_type": kind, "rope_theta": float(rng.choice([100, 10000, 500000]))}
    if kind == "linear":
        r["factor"] = rng.choice([2.0, 3.5])
    elif kind == "dynamic":
        r["factor"] = rng.choice([2.0, 4.0])
    elif kind == "llama3":
        r |= {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
    elif kind == "yarn":
        r |= {"factor": 4.0, "original_max_position_embeddings": context // 4}
        if half(rng):
            r |= {"beta_fast": 16.0, "beta_slow": 2.0}
        if half(rng):
            r["truncate"] = False
        if half(rng):
            r["attention_factor"] = 1.25
        elif half(rng):
            r |= {"mscale": 1.0, "mscale_all_dim": rng.choice([0.5, 1.0])}
    elif kind == "longrope":
        n = dim // 2
        r |= {"short_factor": [round(1 + rng.random(), 3) for _ in range(n)],
              "long_factor": [round(1 + 5 * rng.random(), 3) for _ in range(n)],
              "original_max_position_embeddings": rng.choice([24, context // 2])}
        if half(rng):
            r["factor"] = 4.0
    return r


def attention_sizes(rng, keys, c):
    heads = rng.choice([2, 3, 4, 6])
    kv = rng.choice([d for d in range(1, heads + 1) if heads % d == 0])
    d = rng.choice([8, 12, 16, 20])
    own_dim = "head_dim" in keys and half(rng)
    c["hidden_size"] = heads * (rng.choice([6, 10, 14]) if own_dim else d)
    c["num_attention_heads"] = heads
    if "num_key_value_heads" in keys:
        c["num_key_value_heads"] = kv
    if "head_dim" in keys:
        c["head_dim"] = d
    return d


def experts(rng, keys, c):
    n = rng.choice([3, 4, 6, 8])
    for k in ("num_local_experts", "num_experts", "n_routed_experts"):
        if k in keys:
            c[k] = n
    if "num_experts_per_tok" in keys:
        c["num_experts_per_tok"] = rng.randint(1, min(n, 3))
    if "moe_intermediate_size" in keys:
        c["moe_intermediate_size"] = rng.choice([24, 33, 40])
    if "shared_expert_intermediate_size" in keys:
        c["shared_expert_intermediate_size"] = rng.choice([20, 35])
    if "n_shared_experts" in keys:
        c["n_shared_experts"] = rng.choice([1, 2])
    if "norm_topk_prob" in keys:
        c["norm_topk_prob"] = half(rng)
    if "first_k_dense_replace" in keys:
        c["first_k_dense_replace"] = rng.choice([0, 1])
    if "decoder_sparse_step" in keys:
        c["decoder_sparse_step"] = rng.choice([1, 1, 2])
    if "mlp_only_layers" in keys:
        c["mlp_only_layers"] = rng.choice([[], [0]])
    if "routed_scaling_factor" in keys:
        c["routed_scaling_factor"] = rng.choice([1.0, 2.5])
    if "n_group" in keys and n % 2 == 0 and n >= 4:
        c["n_group"], c["topk_group"] = rng.choice([(1, 1), (2, 1)])
        if c["n_group"] > 1:
            c["num_experts_per_tok"] = min(c["num_experts_per_tok"], n // 2)  # as many as the chosen group has
    elif "n_group" in keys:
        c["n_group"], c["topk_group"] = 1, 1


def windows(rng, keys, c):
    n = c["num_hidden_layers"]
    if "sliding_window" in keys:
        c["sliding_window"] = rng.choice([3, 5, 16, 200])
    if "use_sliding_window" in keys:
        c["use_sliding_window"] = half(rng)
        if "max_window_layers" in keys:
            c["max_window_layers"] = rng.randint(0, n)
    if "layer_types" in keys and half(rng) and c.get("use_sliding_window", True):
        c["layer_types"] = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(n)]


def common(family, rng):
    keys = declared(family)
    c = {"num_hidden_layers": rng.choice([2, 3, 4]), "vocab_size": rng.choice([61, 97, 130, 257])}
    d = attention_sizes(rng, keys, c)
    if "intermediate_size" in keys:
        c["intermediate_size"] = rng.choice([40, 51, 72])
    context = MAX_POSITIONS
    c["max_position_embeddings"] = context
    c["tie_word_embeddings"] = half(rng)
    for k in ("attention_bias", "mlp_bias", "use_bias", "use_qkv_bias", "qk_layernorm", "use_qk_norm"):
        if k in keys:
            c[k] = half(rng)
    for k in ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"):
        if k in keys:
            c[k] = rng.choice([1e-5, 1e-6, 1e-3])
    c |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    for k in ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier"):
        if k in keys:
            c[k] = rng.choice([0.25, 0.5, 1.5])
    windows(rng, keys, c)
    experts(rng, keys, c)
    if "rope_parameters" in keys:
        c["rope_parameters"] = rope_parameters(rng, d, context)
        if c["rope_parameters"]["rope_type"] == "dynamic":
            c["max_position_embeddings"] = 32
    return c


# ---- what is a family's own: (rng, common keys) changes the keys ----

SPECIAL = {}


def special(*families):
    def add(f):
        for name in families:
            SPECIAL[name] = f
        return f
    return add


def partial(rng, c, choices=(0.25, 0.5, 1.0)):
    r = c["rope_parameters"]
    d = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    r["partial_rotary_factor"] = rng.choice([p for p in choices if int(d * p) % 2 == 0 and int(d * p) >= 4])
    if r["rope_type"] == "longrope":
        n = int(d * r["partial_rotary_factor"]) // 2
        r["short_factor"], r["long_factor"] = r["short_factor"][:n], r["long_factor"][:n]


def rope_of(rng, c, *kinds):
    """Rotary parameters again, of these kinds only."""
    d = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    c["max_position_embeddings"] = MAX_POSITIONS
    c["rope_parameters"] = rope_parameters(rng, d, MAX_POSITIONS, kinds)


def rope_by_layer_type(rng, c, *kinds):
    """A set of rotary parameters for full layers, and a plain one for sliding layers."""
    rope_of(rng, c, *kinds)
    c["rope_parameters"].pop("truncate", None)  # transformers reads it beside the layer types
    c["rope_parameters"] = {"full_attention": c["rope_parameters"],
                            "sliding_attention": {"rope_type": "default", "rope_theta": rng.choice([100.0, 5000.0])}}


@special("phi", "persimmon", "nemotron", "glm", "glm4", "glm4_moe")
def _(rng, c):
    partial(rng, c)


@special("phi3")
def _(rng, c):
    rope_of(rng, c, "default", "longrope")
    partial(rng, c)
    c["original_max_position_embeddings"] = c["rope_parameters"].get("original_max_position_embeddings", MAX_POSITIONS)


@special("helium")
def _(rng, c):
    c["hidden_size"] = c["head_dim"] * c["num_attention_heads"]


@special("internlm3")
def _(rng, c):
    c["mlp_bias"] = c["attention_bias"]


@special("gemma3_text")
def _(rng, c):
    SPECIAL["gemma2"](rng, c)
    c["attn_logit_softcapping"] = None
    rope_by_layer_type(rng, c, "default", "linear", "yarn", "llama3")


@special("gemma3n_text")
def _(rng, c):
    n = c["num_hidden_layers"] = rng.choice([4, 5])
    c["layer_types"] = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(n)]
    c["layer_types"][0:2] = ["full_attention", "sliding_attention"]
    c["num_kv_shared_layers"] = rng.choice([0, 1, 2])
    rope_by_layer_type(rng, c, "default", "linear")
    c |= {"intermediate_size": [c["intermediate_size"]] * n, "altup_num_inputs": rng.choice([2, 4]), "altup_active_idx": rng.choice([0, 1]),
          "laurel_rank": 6, "hidden_size_per_layer_input": rng.choice([5, 8]), "vocab_size_per_layer_input": c["vocab_size"] - 20,
          "activation_sparsity_pattern": [rng.choice([0.0, 0.95, 0.5]) for _ in range(n)], "altup_correct_scale": half(rng),
          "final_logit_softcapping": rng.choice([30.0, 5.0])}


@special("olmo3")
def _(rng, c):
    rope_by_layer_type(rng, c, "default", "yarn", "yarn")
    for r in c["rope_parameters"].values():
        r["rope_theta"] = 500000.0  # the older style knows one for both, and transformers takes this for sliding layers


@special("gpt_oss")
def _(rng, c):
    rope_of(rng, c, "default", "yarn", "yarn")
    c["swiglu_limit"] = rng.choice([7.0, 0.5])
    if half(rng):  # sizes that groups of 32 divide: differential.py makes them 4-bit floats
        c["hidden_size"], c["intermediate_size"] = rng.choice([64, 96]), rng.choice([32, 64])


@special("ernie4_5_moe")
def _(rng, c):
    c |= {"moe_num_experts": rng.choice([4, 6]), "moe_k": rng.choice([1, 3]), "moe_num_shared_experts": rng.choice([0, 2]),
          "moe_layer_start_index": rng.choice([0, 1]), "moe_layer_interval": rng.choice([1, 2])}


@special("hunyuan_v1_dense", "hunyuan_v1_moe")
def _(rng, c):
    if c["rope_parameters"]["rope_type"] == "dynamic" and half(rng):
        c["rope_parameters"] |= {"alpha": 50.0, "factor": 1.0}
        c["max_position_embeddings"] = MAX_POSITIONS
    c["moe_topk"] = rng.choice([1, 2])


@special("granitemoeshared", "granitemoe_swa")
def _(rng, c):
    c["shared_intermediate_size"] = rng.choice([0, 20])
    if "sliding_window" in c:
        SPECIAL["granite_swa"](rng, c)


@special("granite_swa")
def _(rng, c):
    rope_of(rng, c, "default", "linear", "yarn")
    if half(rng):
        c["layer_rope_theta"] = [rng.choice([0.0, 100.0, 10000.0]) for _ in range(c["num_hidden_layers"])]


@special("ministral3")
def _(rng, c):
    rope_of(rng, c, "yarn")
    c["rope_parameters"] |= {"llama_4_scaling_beta": 0.3, "original_max_position_embeddings": 16}
    if half(rng):
        c["sliding_window"] = None


@special("minimax_m2")
def _(rng, c):
    d = c["head_dim"]
    rope_of(rng, c, "default")
    c["rope_parameters"]["partial_rotary_factor"] = rng.choice([0.5, 1.0]) if d % 4 == 0 else 1.0


@special("mellum")
def _(rng, c):
    rope_by_layer_type(rng, c, "default", "yarn", "llama3")
    c["mlp_layer_types"] = [rng.choice(["dense", "sparse"]) for _ in range(c["num_hidden_layers"])]


@special("exaone_moe", "hy_v3")
def _(rng, c):
    c["mlp_layer_types"] = [rng.choice(["dense", "sparse"]) for _ in range(c["num_hidden_layers"])]
    c["num_shared_experts"] = rng.choice([1, 2])


@special("cwm")
def _(rng, c):
    rope_of(rng, c, "llama3", "default")


@special("nanochat")
def _(rng, c):
    rope_of(rng, c, "default")
    c["final_logit_softcapping"] = rng.choice([15.0, 3.0])


@special("gemma2", "vaultgemma")
def _(rng, c):
    c["query_pre_attn_scalar"] = rng.choice([16, 24])
    c["attn_logit_softcapping"] = rng.choice([None, 3.0])
    c["final_logit_softcapping"] = rng.choice([None, 5.0])
    c["layer_types"] = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(c["num_hidden_layers"])]


@special("qwen3_moe")
def _(rng, c):
    c.pop("max_window_layers", None)


@special("afmoe")
def _(rng, c):
    c |= {"num_dense_layers": rng.choice([0, 1]), "route_scale": rng.choice([1.0, 1.7]), "num_shared_experts": rng.choice([1, 2]), "mup_enabled": half(rng)}


@special("biogpt")
def _(rng, c):
    c["scale_embedding"] = half(rng)


@special("bloom")
def _(rng, c):
    c["apply_residual_connection_post_layernorm"] = half(rng)


@special("falcon")
def _(rng, c):
    c |= {"alibi": half(rng), "new_decoder_architecture": half(rng), "multi_query": half(rng), "parallel_attn": half(rng),
          "bias": half(rng)}
    if c["alibi"]:
        rope_of(rng, c, "default")
    if c["new_decoder_architecture"]:
        c["parallel_attn"] = True
        c["num_ln_in_parallel_attn"] = rng.choice([None, 1, 2])
        c["num_kv_heads"] = rng.choice([k for k in range(1, c["num_attention_heads"] + 1) if c["num_attention_heads"] % k == 0])


@special("mpt")
def _(rng, c):
    c["max_seq_len"] = c.pop("max_position_embeddings")
    c["attn_config"] = {"clip_qkv": rng.choice([None, 1.5]), "softmax_scale": rng.choice([None, 0.3])}


@special("opt")
def _(rng, c):
    c["ffn_dim"] = rng.choice([40, 51])
    c["do_layer_norm_before"] = half(rng)
    c["enable_bias"] = half(rng)
    c["word_embed_proj_dim"] = c["hidden_size"]


@special("gpt_neo")
def _(rng, c):
    c["window_size"] = rng.choice([3, 8, 200])
    n = c["num_hidden_layers"]
    c["attention_types"] = [[["global", "local"], n // 2]] if n % 2 == 0 else [[["local", "global", "local"], n // 3]]


@special("gpt2")
def _(rng, c):
    if half(rng):
        c["n_inner"] = rng.choice([40, 51])
    c["scale_attn_weights"] = half(rng)
    c["scale_attn_by_inverse_layer_idx"] = half(rng)


@special("gpt_bigcode")
def _(rng, c):
    if half(rng):
        c["n_inner"] = rng.choice([40, 51])
    c["multi_query"] = half(rng)
    c["scale_attn_weights"] = half(rng)


@special("gptj", "codegen")
def _(rng, c):
    heads = 4 if half(rng) else 8
    c["num_attention_heads"], c["hidden_size"] = heads, heads * 12
    c["rotary_dim"] = rng.choice([4, 8, 12])


@special("olmo", "olmoe")
def _(rng, c):
    c["clip_qkv"] = rng.choice([None, 0.7])


@special("cohere")
def _(rng, c):
    c["logit_scale"] = rng.choice([0.0625, 0.5])


@special("gpt_neox")
def _(rng, c):
    partial(rng, c)
    c["use_parallel_residual"] = half(rng)


@special("stablelm")
def _(rng, c):
    partial(rng, c)
    c["use_parallel_residual"] = half(rng)


@special("deepseek_v2", "deepseek_v3")
def _(rng, c):
    c.pop("head_dim", None)
    c["num_key_value_heads"] = c["num_attention_heads"]
    c |= {"q_lora_rank": rng.choice([None, 20]), "kv_lora_rank": rng.choice([16, 24]), "qk_nope_head_dim": rng.choice([6, 12]),
          "qk_rope_head_dim": 8, "v_head_dim": rng.choice([8, 14])}
    r = c["rope_parameters"]
    if r["rope_type"] == "longrope":
        r["short_factor"], r["long_factor"] = r["short_factor"][:4], r["long_factor"][:4]
    if "topk_method" in declared("deepseek_v2") and "rope_interleave" not in c:
        c["topk_method"] = rng.choice(["greedy", "group_limited_greedy"])


@special("youtu")
def _(rng, c):
    SPECIAL["deepseek_v3"](rng, c)
    c["pad_token_id"] = None  # transformers clears the row of this token after loading


@special("minicpm3")
def _(rng, c):
    SPECIAL["deepseek_v3"](rng, c)
    c |= {"scale_emb": rng.choice([1, 12]), "scale_depth": rng.choice([None, 1.4]), "dim_model_base": rng.choice([None, 16])}


@special("deepseek_v3", "glm4_moe_lite", "sarvam_mla")
def _(rng, c):
    SPECIAL["deepseek_v2"](rng, c)
    c.pop("topk_method")
    c["rope_interleave"] = half(rng)


@special("smollm3")
def _(rng, c):
    c["no_rope_layer_interval"] = rng.choice([2, 3, 4])
    if half(rng):
        c["no_rope_layers"] = [rng.choice([0, 1]) for _ in range(c["num_hidden_layers"])]


@special("phimoe")
def _(rng, c):
    c["num_experts_per_tok"] = 2
    c["lm_head_bias"] = half(rng)
    rope_of(rng, c, "default", "longrope")
    if c["rope_parameters"]["rope_type"] == "longrope":
        c["rope_parameters"]["long_factor"] = c["rope_parameters"]["short_factor"]  # transformers always takes the short one
        c["rope_parameters"] |= {"short_mscale": 1.1, "long_mscale": 1.3}


@special("exaone4")
def _(rng, c):
    c["sliding_window"] = rng.choice([None, 5, 16])
    c["sliding_window_pattern"] = rng.choice([2, 4])
    if c["sliding_window"] is None:
        c["layer_types"] = ["full_attention"] * c["num_hidden_layers"]


# ---- layers with recurrent states ----

def kinds_of_layers(rng, c, other):
    n = c["num_hidden_layers"]
    c["layer_types"] = [rng.choice(["full_attention", other]) for _ in range(n - 1)] + [other]
    c["num_hidden_layers"] = n
    rng.shuffle(c["layer_types"])


def mamba2_sizes(rng, c, inner):
    c["mamba_d_head"] = rng.choice([d for d in (4, 8, 12) if inner % d == 0])
    heads = c["mamba_n_heads"] = inner // c["mamba_d_head"]
    c |= {"mamba_n_groups": rng.choice([g for g in (1, 2, 3) if heads % g == 0]), "mamba_d_state": rng.choice([5, 16]),
          "mamba_d_conv": rng.choice([2, 4]), "mamba_chunk_size": 16, "mamba_conv_bias": half(rng), "mamba_proj_bias": half(rng)}


@special("mamba", "falcon_mamba")
def _(rng, c):
    c |= {"state_size": rng.choice([3, 16]), "expand": rng.choice([1, 2]), "conv_kernel": rng.choice([2, 3, 4]),
          "time_step_rank": rng.choice(["auto", 5]), "use_conv_bias": half(rng), "mixer_rms_eps": rng.choice([1e-6, 1e-2])}


@special("mamba2")
def _(rng, c):
    d, heads = rng.choice([8, 12]), rng.choice([4, 6])
    c |= {"expand": 2, "head_dim": d, "num_heads": heads, "hidden_size": d * heads // 2, "n_groups": rng.choice([1, 2]),
          "state_size": rng.choice([5, 16]), "conv_kernel": rng.choice([2, 4]), "chunk_size": 16, "use_conv_bias": half(rng)}


@special("falcon_h1")
def _(rng, c):
    inner = rng.choice([24, 48])
    mamba2_sizes(rng, c, inner)
    c |= {"mamba_d_ssm": inner, "mamba_rms_norm": half(rng), "mamba_norm_before_gate": half(rng), "projectors_bias": c["mamba_proj_bias"],
          "mlp_multipliers": [0.75, 0.5], "ssm_multipliers": [rng.choice([1.0, 0.5, 1.25]) for _ in range(5)]}
    for k in ("lm_head", "key", "attention_out", "attention_in", "ssm_in", "ssm_out"):
        c[k + "_multiplier"] = rng.choice([1.0, 0.5, 1.25])


@special("bamba")
def _(rng, c):
    rope_of(rng, c, "default", "linear", "llama3")
    c["mamba_expand"] = 2
    mamba2_sizes(rng, c, 2 * c["hidden_size"])
    c["attn_layer_indices"] = rng.choice([None, [0], [1], [0, 1]])


@special("granitemoehybrid")
def _(rng, c):
    c["mamba_expand"] = 2
    mamba2_sizes(rng, c, 2 * c["hidden_size"])
    kinds_of_layers(rng, c, "linear_attention")
    c["shared_intermediate_size"] = rng.choice([20, 33])
    c["position_embedding_type"] = rng.choice([None, "rope"])
    rope_of(rng, c, "default", "linear", "yarn")
    if half(rng):
        c["num_local_experts"] = c["num_experts_per_tok"] = 0


@special("lfm2", "lfm2_moe")
def _(rng, c):
    kinds_of_layers(rng, c, "conv")
    c |= {"conv_bias": half(rng), "conv_L_cache": rng.choice([2, 3, 5]), "num_dense_layers": rng.choice([0, 1]),
          "use_expert_bias": half(rng), "block_auto_adjust_ff_dim": half(rng), "block_multiple_of": 16,
          "block_ffn_dim_multiplier": rng.choice([1.0, 1.5])}


@special("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")
def _(rng, c):
    kinds_of_layers(rng, c, "linear_attention")
    keys = rng.choice([1, 2])
    c |= {"linear_conv_kernel_dim": rng.choice([2, 4]), "linear_key_head_dim": rng.choice([8, 12]), "linear_value_head_dim": rng.choice([6, 16]),
          "linear_num_key_heads": keys, "linear_num_value_heads": keys * rng.choice([1, 2, 3]), "attention_bias": False}
    rope_of(rng, c, "default", "linear", "yarn")
    partial(rng, c, (0.5, 1.0))


@special("rwkv")
def _(rng, c):
    c["rescale_every"] = rng.choice([0, 1, 2])


def may_be_padded(config):
    """False where transformers' layers see what stands in padded rows: biases behind a mask, or no mask at all."""
    biases = ("use_bias", "mamba_proj_bias", "conv_bias")
    return config["model_type"] != "rwkv" and not ("linear_attention" in config.get("layer_types", []) or any(map(config.get, biases)))


def make(family, rng):
    keys = declared(family)
    c = common(family, rng)
    if family in SPECIAL:
        SPECIAL[family](rng, c)
    attribute_map = getattr(CONFIG_MAPPING[family], "attribute_map", None) or {}
    known = keys | set(attribute_map)
    return {k: v for k, v in c.items() if k in known}


# Models that see images, and their language models.
NESTED = {"gemma3_text": "gemma3", "gemma3n_text": "gemma3n", "llama": "llava", "mistral": "mistral3"}


# ---- config.json in the style of transformers 4 ----

def older_style(config):
    """The same configuration with rope_theta, rope_scaling and torch_dtype at the top."""
    config = dict(config)
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    if config["model_type"] in ("apertus", "cwm", "gpt_oss") and config["rope_parameters"].get("rope_type") == "default":
        return config  # transformers would take nothing for the family's own scaling
    r = config.pop("rope_parameters", None)
    if not r:
        return config
    r, key = dict(r), "type"
    if "full_attention" in r and config["model_type"] in ("gemma3_text", "gemma3n_text", "olmo3"):
        if config["model_type"] != "olmo3":
            config["rope_local_base_freq"] = r["sliding_attention"]["rope_theta"]
        r, key = dict(r["full_attention"]), "rope_type"
    elif "full_attention" in r:
        config["rope_parameters"] = r  # there is no older spelling of it
        return config
    neox = config["model_type"] == "gpt_neox"
    config["rotary_emb_base" if neox else "rope_theta"] = r.pop("rope_theta", 10000.0)
    if "partial_rotary_factor" in r:
        config["rotary_pct" if neox else "partial_rotary_factor"] = r.pop("partial_rotary_factor")
    kind = r.pop("rope_type", "default")
    r.pop("type", None)
    config["rope_scaling"] = {key: kind} | r if kind != "default" else None
    return config
