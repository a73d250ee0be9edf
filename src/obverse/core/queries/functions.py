"""The functions that a query may use: they compute, and reach for nothing. Names as sqlglot has them, in lower case."""

from __future__ import annotations

from typing import Final

FUNCTIONS: Final = frozenset(
    """
    abs acos age and any_value approx_distinct array array_agg array_all array_any array_append array_cat
    array_contains array_contains_all array_length array_lower array_overlaps array_position array_prepend
    array_remove array_size array_to_json array_to_string array_upper ascii asin atan atan2 avg bool_and bool_or
    btrim cardinality case cast cbrt ceil ceiling char_length character_length chr coalesce concat concat_ws
    contains corr cos count countif covar_pop covar_samp cume_dist current_date current_time current_timestamp
    date date_add date_bin date_diff date_part date_sub date_trunc datediff day decode degrees dense_rank div
    encode ends_with every exists exp explode exploding_generate_series extract factorial filter first
    first_value floor format gen_random_uuid generate_series greatest group_concat grouping if initcap
    j_s_o_n_array j_s_o_n_array_agg j_s_o_n_b_contains_all_top_keys j_s_o_n_b_contains_any_top_keys
    j_s_o_n_b_contains_top_key j_s_o_n_b_object_agg j_s_o_n_b_path_exists j_s_o_n_object j_s_o_n_object_agg
    json_agg json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
    json_each json_each_text json_extract json_extract_path json_extract_path_text json_extract_scalar
    json_object_agg json_object_keys json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_contains jsonb_each jsonb_each_text
    jsonb_exists jsonb_extract jsonb_extract_path jsonb_extract_path_text jsonb_extract_scalar jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first
    jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lag last last_value lead least
    left length ln localtime localtimestamp log log10 logical_and logical_or lower lpad ltrim make_date
    make_interval make_timestamp make_timestamptz max md5 median min mod mode month mul now nth_value ntile
    nullif number_to_str octet_length or overlay pad percent_rank percentile_cont percentile_disc pi position
    pow power quantile radians random range_n rank regexp_count regexp_extract regexp_i_like regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
    regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    replace reverse right round row_number row_to_json rpad rtrim sign sin split_part sqrt starts_with
    statement_timestamp stddev stddev_pop stddev_samp str_position str_to_date str_to_time string_agg
    string_to_array strpos substr substring sum tan time_to_str time_to_unix timestamp timestamp_trunc to_char
    to_date to_json to_jsonb to_number to_timestamp transaction_timestamp translate trim trunc try_cast
    unix_to_time unnest upper var_pop var_samp variance variance_pop width_bucket xor year
    """.split()  # noqa: SIM905 - two hundred words in quotes read worse
)

OF_DUCKDB: Final = FUNCTIONS | frozenset(
    """
    approx_quantile approx_top_k arg_max arg_min array_distinct array_filter array_has array_has_all array_has_any
    array_sort bar bit_count boolean_and count_if damerau_levenshtein date_from_parts day_of_month day_of_week
    day_of_year dayname dayofweek_iso dayofmonth dayofweek dayofyear dense_rank element_at entropy epoch_us even favg
    flatten from_json fsum gcd generate_series hamming hash histogram hour is_nan isfinite isinf isodow isoyear
    j_s_o_n_array j_s_o_n_object jaccard jaro_similarity jarowinkler_similarity json_contains json_exists
    json_group_array json_group_object json_group_structure json_keys json_merge_patch json_structure json_transform
    json_type json_valid json_value kahan_sum kurtosis last_day lcm levenshtein list_aggregate list_avg list_count
    list_max list_median list_min list_mode list_position list_product list_slice list_sum list_unique mad map
    map_entries map_from_entries map_keys map_values minute monthname multiply nfc_normalize ord percent_rank prefix
    printf product
    quarter read_csv read_parquet regexp_full_match second sem sha2 skewness split strip_accents struct struct_extract
    suffix time_bucket timestamp_from_parts to_days to_hours to_minutes to_months to_seconds to_weeks to_years transform
    unicode weighted_avg week week_of_year weekofyear
    """.split()  # noqa: SIM905 - as above
)
