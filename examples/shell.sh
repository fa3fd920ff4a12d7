#!/bin/sh
# A line of JSON an epoch, appended to $HPSEARCH_REPORT: in any language.
for epoch in 1 2 3 4; do
  awk -v x="$1" -v e=$epoch 'BEGIN { printf "{\"loss\": %.6f}\n", (x - 3) ^ 2 + 1 / e }'
done >> "$HPSEARCH_REPORT"
echo "x = $1" > "$HPSEARCH_FOLDER/model.txt"
