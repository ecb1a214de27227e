//! Keys and tokens that were made elsewhere: by `bin/pulsar tokens create` of Pulsar 4.0.8, whose role begins with `java`,
//! and by PyJWT 2, whose role is `py-` and the algorithm.

/// 64 bytes.
pub const SECRET: &str =
    "czIu9Nmr7aNKhb1OnYQRxyl9a9T7gdqauGf8i4OJzw0cYBjdy3G58wiaYvG3P7khx/O+IkuM2hoNZ8x0zRxsdw==";

/// SubjectPublicKeyInfo.
pub const RSA: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA74FnpVV6QkSUPmHxBR3Ltokb6pSUWs9o3+ZhyK9Kvx8ZdiLVC/GufaTcz4AyJGB48iZwvLN6xd1eliO08HF1P1dKJ+dah6FXrRK1okUEJD8mQL2MNF/RoGTlvGG9LALjPe4ilT1QcY4V90ZCrBFwvhilJr2YB1z2nSXvyFWoDW3ubNPxYCDET7UxcKEBpPNKMRwp+Mm9KeoGP4nhY8fcvvaydatidvOfweFg1WFhv1+z/X1ASTTNn9aKAVwf+rtmkJQNtYAu9Gx5m5wmYKYo5Z8eBRRaYOOwEwbD6o3GpEP5nL/EsyD8rw/zGM14rd1MVMU0FFvTA7llf686MJOR2wIDAQAB";

/// SubjectPublicKeyInfo.
pub const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmPLnOYO5RrEgTMk04tBnUB4rk+J3JhXCivaDvQ/qqKHAPPE2H2EPfKtw28ACiIiOcR0Q23L+qtiZ7rBy9Zv37g==";

/// SubjectPublicKeyInfo.
pub const P384: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEheoAa1vydq5iDwFY3lpVXfirPpwuLaWoE6VKyJ9Nnq7q85iMYH9zvPugMYnJT7XcNniA1UAzmPueiyxsCD+VLHy4SOigz3jox12dmCHWi7jnRhxaCQGDpgdYsoFv3Rur";

/// SubjectPublicKeyInfo.
pub const P521: &str = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBIC29R0sXiqvSyRtWtQtOTNdz5DwtE678bp8GKknBnhhs/yE9TW3Q3GPK5f82C4k8qJclYEcxBVyDeYIKTyXb2MIBgXOJy0887MdqExfJsaQ7pbiu9oIU6bIkMr5l/1L6sQYPCGz3SR7agvmMgp5YE0YBvt0N4ZXHSiY1RLSfifUvAKY=";

/// SubjectPublicKeyInfo.
pub const ED25519: &str = "MCowBQYDK2VwAyEAz+s+OiLhFyO0VGY5naU+5H0FU487d9oW9WPpPKXS/Fo=";

/// Algorithm, key, role, token.
pub const TOKENS: &[(&str, &str, &str, &str)] = &[
    (
        "HS512",
        SECRET,
        "java-hs",
        "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJqYXZhLWhzIn0.ucitTD1vvI9xSYZccF3-BRodojdIR_Jah7WeZ6PFoP4Y_7735Zw9GoCeYpxKh7ibHke7DfyvXx5A83-Ahjgmeg",
    ),
    (
        "RS256",
        RSA,
        "java-rs",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqYXZhLXJzIn0.zfei18VmcN1verCHpUQi4WF8c8Gk0F0FugA_YbBp1CNW_MzQFzutzZ8mVnJBu9Clje8oJFmze2fL0mB_AVDSfAnf9KsgDCVfETfW6NCQv5YgJ5vcPsNG77Ymsf26hRgRESOYehNt9RHMdo0Na9MClH4mNDfdNsQIoHZCsBmG_EcwGoHudSxQrWYu8_zcI_5koopVyvE3njM9C8kJQ4BwERJyUXvgPcMK4q3FYoCbfcajsYTmOdWxhCeWDXLIDBt6i98dsFmprjB_YOIqAslzml7sEzWNjZhjjxyuhk49P4qN2OXgX31rkQTKccRHxlCv8CZMr5Vtfi00J0nvkg8cog",
    ),
    (
        "ES256",
        P256,
        "java-es",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJqYXZhLWVzIn0.Cy8raJBM4wj_PEoGtTqZJTKm2PGkFIwCMT-oRcvUhSbs7msk8WMRG25sYb8gEmr4B1kQMo2MFqT8McOyeiPp_A",
    ),
    (
        "HS256",
        SECRET,
        "py-HS256",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1IUzI1NiJ9.6s0sPU9ZsaGus4BOZVb4wyYNqjRFrgm1AvHzNd3CLzw",
    ),
    (
        "HS384",
        SECRET,
        "py-HS384",
        "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1IUzM4NCJ9.bkyNYekhMT15F_b62V2PRfqZI0-KjCc3YYVJ8jpP_85xZ9XtPIyxq56jDa3w6iR4",
    ),
    (
        "RS384",
        RSA,
        "py-RS384",
        "eyJhbGciOiJSUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1SUzM4NCJ9.DreFJlHgpr-rMD1MmGwYW5-s5faaFiP67IydpYthlhptyWJC0IqGQNOGT-3eRliJeKmAH8VqsM67pyLX_ghHYEurcnJ0UBIAYpMwaAfiJQMt9muYCiH33eYJIdg3y7APyYRTL3-mIrkULKjL6jNN8nbfHRdg_DRdHCqgF5MwBIyl4SA8OiQXSAqKMGrtuU0VTb8habzPI6Hpa-yrP9tnEZIIVH5adKeLAnTZg5q4brw4SNo2inlMFsC2ub7S8N1DYOBimMNBT7mBZaJQAlHrupXC_co05KvQMNrZMS5OFy0zWFhhlVL-EljzNfZtsY5bojPTfN2_6qvWR24cRW6zFQ",
    ),
    (
        "RS512",
        RSA,
        "py-RS512",
        "eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1SUzUxMiJ9.nLyLQ0c-AAGJC6JJwsH-H7D_Xj_59hfIEsG-Cxno3rcQTi-nVZG3ceTRwnhb7w2rrxq0hAUcokqhR2lRQCKEkKq8Y5KeFA7RO81D8uKOjT-DuVhKJK_KqGDWJnX1XnjmiEwOFV3lyAJ2H5IPaVpdvi9rnA-Hc1k8XJ_vvJ2uPZXp0mlVZh0NEgUHfo7vMaoZTiTvj5BeIuMO6QjSVQ8TUa_XW-eYd3TAmCdjoMefJRBWXM7fGYNUcRU-oosWrypMR9tzCrHCa1eSjpy77MAqhLsmsitgyOqLP2uF2Y3889J_dFdmpLdC3d9aMgBg3XIz4yHC_dFxruitZNFdgujDCg",
    ),
    (
        "PS256",
        RSA,
        "py-PS256",
        "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1QUzI1NiJ9.aY6lSg_1ue6jmCVpyHSWInMOMiHj_COkT-jYkMrhPPSsLgQhJKqWDLBIf2sEhxn3zFhRxqxtLFYLGNll9tfJxBqKRiOVpaYQCMTkHfBqZ2yGBMreu4HyeuF_DwjBQmeEGqwOkYZLYwKneBFwMpDBwc1FQ4voZXVgDmsm7LDYwFaDP95OKECVxl9_N4xhNO_O07qbQPnStCKo8JQYrwRme6OlU0wXo5ciPcL8Y4aE5eHhLGs6iI-0fvYVypflbYienXlwYZ2DhOAfcLCB34ULpcQW0xBjYdP5ZAR-LNL-V_zGiKt4P-wJQCYx_NzkrT4IWqXYkowgWkIen2c6BJ8XOA",
    ),
    (
        "PS384",
        RSA,
        "py-PS384",
        "eyJhbGciOiJQUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1QUzM4NCJ9.H7oOD73WREKj-Mlw-jGwNrApwRBweJqHBOv-ZznOVB5YKhySmaEAuEfAIEj9knlmVbty4M-eH8Cu8ektNO680MzkwoHLMkheQVv1hYPjVR0SsW6wxfCvvCCuz1jaLT7Yq5pLqr-jYZa3qzPRp9FJTzQCvdpGACWoEzjx2O2pkaSnI1w50uWJO_rYgEN0W6AdS-94xIyFNFxaaZXWttXkkWMR8ilVtuYrXZ42fZvglLY6I4J8EPiWRcZHmSOpukP-XDCndmnGXeUc2PaKMB2CvKlMZ23LIjZPzo2hvnCo2mSf5QQ96JYFVOVhrvc2SRHw_mb64OsWntg4F41ZZrTtPQ",
    ),
    (
        "PS512",
        RSA,
        "py-PS512",
        "eyJhbGciOiJQUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1QUzUxMiJ9.bW3IxkU_I4OhSzfty021WueltAKP4Wf1xM2dDZChmbzxRPpVF-PQ_EbRYOiNGo_2-DYA5peSRrcAVXSbLtSpOFF2ojN2GzoW_Rwm_eO19vjvxgXzU1msNI6m3lSY-x17_yb4nd5BSSj1hsBrq4HQxyCaVOfBe22jqutN6HAVyLVQxHIGAcfUWG8Vvuwc526ZN_-jM_sLtvMxaoqfw0kZDeml1Pjj0wf0IwTpoJIXgpqXYi239o-6CzKJKl2-ieLBVFHKR_x0kyq3EDt_4JK-iqMuuj3KMr6_xBL02jBaMgEhXkSCGSTNEa2FEXFx2IqoXGMstCx1sSMmNlWvxtuF7w",
    ),
    (
        "ES384",
        P384,
        "py-ES384",
        "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1FUzM4NCJ9.xMvUhsoyVjQsCSSeR_mowB1N5fJ75ZcXsd0lrw3Z6DsVYB3SbdWo6M2U8b_8sJxgU3_wStyLVOHVCzZv9EQl22E88ammA4TWGLdoapPMLspNzW3eeKfKeXxlEwU7sdEX",
    ),
    (
        "ES512",
        P521,
        "py-ES512",
        "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1FUzUxMiJ9.AdTmGbi4UjamLH3qJHjDYCVs-K1XE5xWr92MN4x_D9j4SxVSicMCuxlzrqJNiBa_D0lmnKphTQxBokv2ZHc5rNXYAc44C7fho2C0sZOqGuSwSH56SNZP1UaS8ftOvm4lt82G2Fe1XzVotUGO9nqtVC1A_61XEv4W0Ge7rW5yF4lKVYSn",
    ),
    (
        "EdDSA",
        ED25519,
        "py-EdDSA",
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJweS1FZERTQSJ9.-Uk7CstGcF5rUMyM25pi0ggqwHk_epO-bXyFBk1n5CwpjaZp6SZP73rB5gckqP756PaK3VXnJkmjOiMLRKoQAQ",
    ),
];

/// The same public keys as an issuer publishes them, and two that verify nothing.
pub const KEY_SET: &str = r#"{"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": "74FnpVV6QkSUPmHxBR3Ltokb6pSUWs9o3-ZhyK9Kvx8ZdiLVC_GufaTcz4AyJGB48iZwvLN6xd1eliO08HF1P1dKJ-dah6FXrRK1okUEJD8mQL2MNF_RoGTlvGG9LALjPe4ilT1QcY4V90ZCrBFwvhilJr2YB1z2nSXvyFWoDW3ubNPxYCDET7UxcKEBpPNKMRwp-Mm9KeoGP4nhY8fcvvaydatidvOfweFg1WFhv1-z_X1ASTTNn9aKAVwf-rtmkJQNtYAu9Gx5m5wmYKYo5Z8eBRRaYOOwEwbD6o3GpEP5nL_EsyD8rw_zGM14rd1MVMU0FFvTA7llf686MJOR2w", "e": "AQAB"}, {"kty": "RSA", "use": "enc", "kid": "enc", "n": "74FnpVV6QkSUPmHxBR3Ltokb6pSUWs9o3-ZhyK9Kvx8ZdiLVC_GufaTcz4AyJGB48iZwvLN6xd1eliO08HF1P1dKJ-dah6FXrRK1okUEJD8mQL2MNF_RoGTlvGG9LALjPe4ilT1QcY4V90ZCrBFwvhilJr2YB1z2nSXvyFWoDW3ubNPxYCDET7UxcKEBpPNKMRwp-Mm9KeoGP4nhY8fcvvaydatidvOfweFg1WFhv1-z_X1ASTTNn9aKAVwf-rtmkJQNtYAu9Gx5m5wmYKYo5Z8eBRRaYOOwEwbD6o3GpEP5nL_EsyD8rw_zGM14rd1MVMU0FFvTA7llf686MJOR2w", "e": "AQAB"}, {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, {"kty": "EC", "kid": "p256", "crv": "P-256", "x": "mPLnOYO5RrEgTMk04tBnUB4rk-J3JhXCivaDvQ_qqKE", "y": "wDzxNh9hD3yrcNvAAoiIjnEdENty_qrYme6wcvWb9-4"}, {"kty": "EC", "kid": "p384", "crv": "P-384", "x": "heoAa1vydq5iDwFY3lpVXfirPpwuLaWoE6VKyJ9Nnq7q85iMYH9zvPugMYnJT7Xc", "y": "NniA1UAzmPueiyxsCD-VLHy4SOigz3jox12dmCHWi7jnRhxaCQGDpgdYsoFv3Rur"}, {"kty": "EC", "kid": "p521", "crv": "P-521", "x": "ASAtvUdLF4qr0skbVrULTkzXc-Q8LROu_G6fBipJwZ4YbP8hPU1t0NxjyuX_NguJPKiXJWBHMQVcg3mCCk8l29jC", "y": "AYFzictPPOzHahMXybGkO6W4rvaCFOmyJDK-Zf9S-rEGDwhs90ke2oL5jIKeWBNGAb7dDeGVx0omNUS0n4n1LwCm"}, {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": "z-s-OiLhFyO0VGY5naU-5H0FU487d9oW9WPpPKXS_Fo"}]}"#;

/// Identity tokens for the audience `pulsar`, good from 1000 to 2000 s, but for what their names say.
pub const IDENTITY_TOKENS: &[(&str, &str)] = &[
    (
        "rsa",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.zaeiiSzghQ4iU_gL1CS-m5IIU8saUomU9N-IJk8rkPqu_BqnFKuLvfUhLJTFMGhU2v1NeZwje2Drgk1ETxELQmtR3NoO2nrULLLoxsQGIzY-WskMs8TML6Pn00mDaqo6dO9R7lusCFKEB0OD1UKcxbWu_Alq9t25E69cYyqvh25prO6CwltXsVppfcmUJ54NVIKu_q7ce9ug_8d-43Y74VmTTBUKMbq3h-B4GeHpnfyAuZXEumDmq-bLZQ0pVRc4kKWAC9y3ykBtuyd8S2CAOSM_rkzGgKmR1IxnkcyaDco8JJ4SQQ40T0l8-ij5QjIUnHq5oB5xKAJ-eryBR4QJZg",
    ),
    (
        "p256",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.JP4sYq-gTmUguTtc7OUgWE-uA82wL_IKKH6S5douHgcKGqTveKm4mueogIZDuyCoiLfJl2vGpSFyQmq33CivXA",
    ),
    (
        "p384",
        "eyJhbGciOiJFUzM4NCIsImtpZCI6InAzODQiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.-7GSppA7tUvHuvCP5W47pVJDx882Zl7j0dZfQf0wGxaP6VYq0GHA7jmo-VOwiumEvPAca3J8AJdqHNo2dSq0v12CbuRX1wVzbxeZr85YsEMl6EtpTOTtoVVkeNsK6e-m",
    ),
    (
        "p521",
        "eyJhbGciOiJFUzUxMiIsImtpZCI6InA1MjEiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.AB8BfpF4zrAY23ph0msXLXqEDMjexGiPDcSgsJqigqDaSq7ro4IjfFv0d0k_c4CWICC_Dx9NGr451bPJOAO9Ceo8AS9akEKdCTZIoP3BQk6HAWPczR79DWPjj5eINY7BUnglS9tpmX0fIL4_8D1CWc8otR-CEqMneETCv0BB5Cy_Gfqm",
    ),
    (
        "ed",
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.JsBDkDX5rrNEl66JVR2effc0T9vOxF5SsDEtec4uYjB9rh3vQB-qHDIfASdc6Q1KQ8Ho7ZwpAfTWByV_YFBUAQ",
    ),
    (
        "other algorithm",
        "eyJhbGciOiJSUzUxMiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.0ko1ct1HFHuZtnsYswIpYA2vPWSpyRMRl8TchQwSG8DYuICzuZMJFmiomWQ7rgDisrUXEZfy_T8RhOQlCHbDdNI51A0PkPN08-5wYjLF_1qo9DxQJbhoWvrwATrdg6KfFJYYpY2xztRP2tSNV9UF5MToMHIVjdwyw2Upl35zaKuItxTq1C5UG-PSOfq6oQE4abGqw1n1mTo5_u3OvWHNgVuRot2SQarij-kdunqovrhPaT7YOWG52XefVyb_4AVz4-ww2-K_FOfat5Bqppt7Bx8O0nm8FeQGbukQ1_FdW7ws74t7O3myytdPMn9rEX9ezmZ1mQ_-iINTd3bs1BRmuA",
    ),
    (
        "other key",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.4afP8VKsx2l1HSEFROyK6MBoUJT-h4tytf3c8-hjawfGAUjq456fLQ06UU_9F0OMzAyaRgbmo1M6iXL58_OiGw",
    ),
    (
        "encryption key",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImVuYyIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.baRyKHen2d1KW_WYfbQyku6Z21GIVAq4qRm0l-YTGECqcQyfsC70xWiC908iQPznSbhyd4d0bWO2HF8-wV4o3T0MG9DNABLMISmLVpCACuQH20XP3DsEAzqXpOV2NEuFnk1Mc15rxQlYL1x1X0qN0n54xbtnj2VuPVAlm-fNibDUyf5ZzFpNPP98-eGyV9SQU_OQ7CgqgfmBsBgll2hG6MwI6z-E2htuAHwQ9USPeDxuzaKLB7PxKGWYrmpeVz5EbgOwvE-1s4LWpEsLxMwPxbeKFfvMM07KdYZXHphjokN2wuq1PJ43d68xKH2KwlHjGwUMWAfbNO2YH3n0PNOy9A",
    ),
    (
        "unknown key",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.4HyDZZ35a3NP1e7BvnAlQnl4hEYZgGv0PcSIEccxGdAfK9tSA2clOSEQMK99wa6aH51pd5LdtRrXDc7e3lcmR-lrBsdJzNLiY0TKfJLRpe5C8QNpHSx04pqZVpeaPxzC-kNidVJHDRIM2mb3-VRfFkPH_ReUYqPUo5XtgZfjEE61ppHIOJ7Miwx_TBAC7gv-GkfhpwmAPHfQQanVVvHX0it2-aWbP950DsryjyhP2jAWJYh8R10diwT5YhWFhDwyt0XzuUzhZc3QNQhwK99b_M-IZkp4WdFYPtP2t52HjoWueYKeQB_-A_Vw2yznAgWLayALyJ2z4S9-xa8n55422g",
    ),
    (
        "no key id",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.Qt95anbwcLITXFoQx1zLx_qdnS_nVml-6RVO5xWyk8Jm2IkvjDa213Nk9jZ_YuemFSbgSRyL-8VVE_gd-OYp4gf2-YLlfIaWUoFkbgKXwLydLY7ua_unf_bGRLRxiZbSWT8fPeEDu5vfkoFat1FYzHHVTLDuPiBduqOkmA1oBkc79EDOfQmWMlnrvOLgoLuCt3_lOdcWJzYHF9f3En4nynGY3gkJx1T7_UD0qy9lQXvoZnFvoDMu1j-NfQBH9ha6DgPoQYJwEIEX2SKsmj41awu-R5wXfihuZQUXFDhyHYijj6zJ3VOvrP87uAP_bpyxRg9pxhNd_qTNsK6xxZx4_Q",
    ),
    (
        "other issuer",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL290aGVyLmV4YW1wbGUiLCJhdWQiOlsiYSIsInB1bHNhciJdLCJzdWIiOiJ1c2VyIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwicm9sZXMiOlsicjEiLCJyMiJdfQ.FNJDt_ngwyfedp5kcDX8HwhH3HW8RqQc2J-DGJXQ2xivhLXELvnxLWRmIobIv4xpsUs5bUmBofEp_cRVHoFAFZrYSAaYC_2Bd3zwnBp_yn6CjSx49ATQw7WkwV1noncnOqQzO9qdG8UwAQGbCNvBQr6-tv_aBilKVDw9pzL42lIT2e4S5-caVKLMFPDhIaY0PsDb7VgssJXkZtX62osf7yXsAWh6FEN8yF3zRQB14mi24LwzaGFrzVqIJaFPEY2FK1J9zbr9P_-JFocYcDg4v2OW8cryxjXruCzKocY4y2bPDUtlRRYnugOuhk86Rp2atwWSl7zG46hls7bERp0nOw",
    ),
    (
        "no issuer",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJhdWQiOlsiYSIsInB1bHNhciJdLCJzdWIiOiJ1c2VyIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwicm9sZXMiOlsicjEiLCJyMiJdfQ.Wnd99ceL52KCzUUbwkCzd9tidMz6bLYK0RL8onTL9Euh4n1-XJYpfvruccDMKSrvwos7Y8wJK78vKki6P87vNeV1056rRvvV7DrxzRwkisMi6-6bdcmjG0pJ8CMOVMYXv6sgWBF0LWKtvgriy6kXFPNy5fD1LjtKffYES3omaMGHNR96SOp1Ng0x0BvM3qj8xnLMspzf0WCQ5dR45OuPORl3ik4fz_34XAUmUozzpctA8u4bhy8-TJ1OG4EVPxSS-vIqcaGzdgPFfA21jLwmARKtZeI1e1FK5ONwM7SlhsDvNWjalulsaU2CsEspN1BUNk7ql5pGXqdgY8E9VS3duQ",
    ),
    (
        "other audience",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiYiIsInN1YiI6InVzZXIiLCJpYXQiOjEwMDAsIm5iZiI6MTAwMCwiZXhwIjoyMDAwLCJyb2xlcyI6WyJyMSIsInIyIl19.ADIaxljY4-FxM88_RzvfvNUUVCmMc1bsqmn8ieosTwsYj8bsjN-KzWWVuKAG6NjcxnJgXiQK0prScY7jDFfijSblk45y2tVTI2w24XMKDayS624IkuNkjIqGz3ncT8u_TQ0gNqSvR7wVbhm-tEKQmZYHmPxWBFX4HQZbGLIoUhYCfiJFQhjghBNrku6oEhlLsRakNz566Ah_rxYOciYfqo0g2dHarH5VIM9405cP016f6rsxkMWuGdlS4mf819Ry0b4-_xoD4mvtbhSuRtOmob3aAQpW4CZcMLsYr9o5ww4NeIZRJOjvtjYjn0y9WAFkhoGLYjYdVTf1etXaPB270w",
    ),
    (
        "no audience",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.RJ8AvlJOb7nUWM5NVwIkX_vMPnF475WuNSzCv84v7kx09fLMA4A_4synF-1D_lJvHcdKCnGQ2cQkrUNI-nmA6-IAOqVFSU1QD7qOpYs3yiJbFK5at94fO-uk8XrLXvRb15TpZ1e0BeA2NEbMCG0PR9hdzecHEU-suNiIthMOHFF5KwiinFj19bekRXZoFhGLVNcsnPu3kj9voppBWc2pe4pJnz-ZdkPmBpgk3Detp3Xr3lWrl1IR7Sbl8pACZTuPtbLNm994M9R2ZRoEZyqyhYTBUtBbvFtUcPqOD0Caw9O5LB-z7HSWbWQRDvHttbLjLVn8YQ0pzIZmUBjoHUUvhw",
    ),
    (
        "no nbf",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwiZXhwIjoyMDAwLCJyb2xlcyI6WyJyMSIsInIyIl19.ROgat_41ctQthL2viN3Ahc6DGwTlMNfgg-areZcuzBTwjx57yjquk5edGgHh2LS4dq2Yns8mALoGgEKRfenpDfGOMJwuT-OKYrGdHiU15oUxn3fNs_xIy7OsXqG1nSg9EiVASj9WnxhcA9ynzhPBxRErTpLq3CnoZtwLTgCreVADmK8WXspTmwvRQpH956KTTKYgeNsO11zGN6I8D5c2DsWwKCfPqHlvXDYQhW6BCIFnqwZOBikCMVg-tLTJtwhqBWqAyoJvwbOLhniGVHoLC1hy-dw-49JEWRm0Owi4Gt4_0LAG4At1HOHDXSKUwlH5RW14jGrMEqBEVHdz1PrS7A",
    ),
    (
        "no exp",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTAwMCwibmJmIjoxMDAwLCJyb2xlcyI6WyJyMSIsInIyIl19.ep9oMwM5xStjlpfFkIp4VCjdB_jGWSCk6nPgBAJj_kKifAF9zTRUiJK8DCvbduH1YZaPuV-CgEa5YH5dko6dl0nfhMnBRNLiyUdS3Q7m8SqNJGrZzvOs4nA4k9FNKZu4Xo0HjOXNGVMu_idmDvzXyT04vMvhi1dh-Flwy7g_sYSwxoprmHi02_nnIt_09Ghe-Sqr2l4I3pSH0p5GuL7MNMgQTBT3S_YRklSLDopTOfNlIVFquVa5hUPYLvAmTp1PDXN-QZcxrcim4VZZsQRtVpJmiZ-37RZ6HXA6JBIOZ2Ck4W6qUr5FHvJbQW5N49mgmQFjabwN9mLfcFVD5UqF-w",
    ),
    (
        "no sub",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwicm9sZXMiOlsicjEiLCJyMiJdfQ.CfmGDuIm7dm9UUN-zsSMTQOK5fo2fqCTa9VvKdQEj1StsZQ9cTatsRcvtvXvVeZPt5hM2v7ipuNfMTZ9eFnCR6-EVBgV-84M4dkVkPWiC0yw_TbSe-muiRKQM0LL7UmMMNaPpYCAs5V_lZRP3NWDN57y8BBRAQbirLFhGiUmQ_xwZ_AJWcOE3kLYPfE9anqH7zyGMBnr4GZwI9ILnn9ZB-EfAZJAv6F-g77WN0cKaUb8foNn9_vP6DAsVr3dEbkpx5v2FnBZ4cmQscvWyA_iE0I9almcJv2RL34bvuqQBvfe03uL0ctLN_TqWAN5__-d-FuZFgJme77NYCnq1DNCgg",
    ),
    (
        "issued later",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjpbImEiLCJwdWxzYXIiXSwic3ViIjoidXNlciIsImlhdCI6MTkwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsInJvbGVzIjpbInIxIiwicjIiXX0.0vUzyk6bTPfntDjU-cg1n6-TqT3wnwB4eSNpwNDJ8wJOYu0pS6-0-QnsxDc4RtwxTJN1WEeOswltS73tL2PMMQ7yMX1Qg3NxDR9lqgTK-XQDKWYMsbsAj8k59UA5p10Uk6HbonZRfb15aGAGoyh3i-aMbBG2x_UteDCk1xj3zUfpJXmAurhsE6yvrsVx4BK-TBfj5aPpVFbDvfptN-y3nxDYYEEKp8quEdXBVJsH4a6emCk-NNB2-hRjFmLprX8AXesZwzUgsSkpfqi7dUohl4DJNux0xGO7n1mX_HbNKuZOKxXcQN668ZY2yS-hlzzR7P5gbWYvXu8LpPLTIyhMOQ",
    ),
];
