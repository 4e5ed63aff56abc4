# The small reader and writer of JSON.

@testset "JSON that is read" begin
    read_json = VoxFeed.read_json
    @test read_json(" {\"a\": [1, -2.5, 1e3, true, false, null], \"b\": {}, \"c\": []} ") ==
          Dict("a" => Any[1, -2.5, 1000.0, true, false, nothing], "b" => Dict{String,Any}(), "c" => Any[])
    @test read_json("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83e\\udde0é\"") == "\"\\/\b\f\n\r\té🧠é"
    @test read_json("18446744073709551615") == 1.8446744073709552e19
    @test read_json("9007199254740993") === 9007199254740993
    @test VoxFeed.read_members("{\"z\":1,\"a\":2}") == ["z" => 1, "a" => 2]
    for text in ("", "{", "[1,", "[1 2]", "{\"a\"}", "{1:2}", "\"a", "\"\\x\"", "\"\\u12\"", "nul", "1 2", "-",
            "{\"a\":1,}")
        @test refused(() -> read_json(text), "err_internal", "no JSON")
    end
end

@testset "JSON that is written comes back" begin
    values = Any["text \"with\" \\ and \n\t\x01é🧠", 3, -4, 0.1, 1e-300, true, nothing, Any[], Any[1, Any["a"]],
                 Dict{String,Any}("a" => Dict{String,Any}("b" => Any[1, 2]))]
    for value in values
        back = VoxFeed.read_json(VoxFeed.json_text(value, "it"))
        @test back == value && typeof(back) == typeof(value)
    end
    @test VoxFeed.json_text((a=1, b=(2, :c)), "it") == "{\"a\":1,\"b\":[2,\"c\"]}"
    @test VoxFeed.json_text(Float32(1e-20), "it") == "1.0e-20"
    @test VoxFeed.json_text(Float16(0.5), "it") == "0.5"
    @test VoxFeed.json_text(Dict(2 => 1), "it") == "{\"2\":1}"
    @test VoxFeed.json_text(typemax(UInt64), "it") == "18446744073709551615"
    @test VoxFeed.json_text(missing, "it") == "null"
    @test refused(() -> VoxFeed.json_text(NaN, "it"), ArgumentError, "it has NaN in it")
    @test refused(() -> VoxFeed.json_text(Inf32, "it"), ArgumentError, "Inf")
    @test refused(() -> VoxFeed.json_text([1 2; 3 4], "it"), ArgumentError, "Array")
    @test refused(() -> VoxFeed.json_text(sin, "it"), ArgumentError, "sin")
end
