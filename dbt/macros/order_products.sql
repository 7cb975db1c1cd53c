{# What staging reads of an order that lists its products, as clients of Segment (products) and Google Analytics (items) do. #}
{% macro known_products() -%}
    {%- set product -%}
        Tuple(product_id String, productId String, item_id String, sku String, product_name String, productName String, item_name
        String, name String, price String, quantity String)
    {%- endset -%}
    Tuple(products Array({{ product }}), items Array({{ product }}))
{%- endmacro %}

{# Id, name, pieces (one unless stated) and price of all pieces, of each listed product. #}
{% macro order_products(listed) -%}
    {%- set pieces = 'coalesce(' ~ decimal_amount('product.quantity') ~ ', toDecimal128(1, 4))' -%}
    {%- set price = 'coalesce(' ~ decimal_amount('product.price') ~ ', toDecimal128(0, 4))' -%}
    cast(
        arrayMap(
            product -> (
                {{ first_text(['product.product_id', 'product.productId', 'product.item_id', 'product.sku']) }},
                {{ first_text(['product.product_name', 'product.productName', 'product.item_name', 'product.name']) }},
                {{ pieces }},
                coalesce(
                    accurateCastOrNull(round(toDecimal256({{ price }}, 4) * {{ pieces }}, 4), 'Decimal(38, 4)'),
                    toDecimal128(0, 4)
                )
            ),
            arrayConcat({{ listed }}.products, {{ listed }}.items)
        ),
        'Array(Tuple(String, String, Decimal(38, 4), Decimal(38, 4)))'
    )
{%- endmacro %}
